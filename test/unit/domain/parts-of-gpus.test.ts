import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import type {InputOf} from '../../../src/contract/contract.ts'
import {shareOf} from '../../../src/domain/product.ts'
import {gpuNode, world} from '../../support/world.ts'

const hamiCore = '/root/HAMi-core/build'

/** A fleet with a catalogue: every image can be split. */
async function shop(gpus: number, {store, rest = {}}: {store?: 'sqlite' | 'postgres'; rest?: object} = {}) {
  const fleet = await world({nodes: [gpuNode('gpu-1', gpus, rest)], store})
  const {services, admin, caller} = fleet
  await services.nodes.update({id: 'gpu-1', hamiCore}, admin)
  await services.images.create({name: 'cuda', address: 'nvidia/cuda', memorySplit: true}, admin)
  const spec = (name: string, fields: Partial<InputOf<'specs.create'>>) =>
    services.specs.create({name, gpuCount: 1, ...fields}, admin)
  await spec('whole', {})
  await spec('quarter', {gpuMemoryGiB: 6, memorySplit: true})
  await spec('two-halves', {gpuCount: 2, gpuMemoryGiB: 24, memorySplit: true})
  await fleet.settle()
  return {
    ...fleet,
    get services() {
      return fleet.services
    },
    spec,
    async create(name: string, specName: string) {
      const made = await fleet.services.instances.create({name, image: 'cuda', spec: specName}, caller)
      await fleet.settle()
      return fleet.services.instances.get({id: made.id}, caller)
    },
  }
}

describe('parts of GPUs', () => {
  test.each([
    [6, 24, 25],
    [24, 24, 100],
    [1, 24, 4],
    [0.1, 80, 1],
    [7, 24, 29],
  ])('W3.3 W6.5-10: %d GiB of a card of %d GiB are %d percent of its time', (gib, cardGib, percent) => {
    expect(shareOf(gib * 1024, cardGib * 1024).percent).toBe(percent)
  })

  test('W3.3-10 W3.4: several share one card until its memory is given away, and nobody gets it whole meanwhile', async () => {
    const {create, services, admin, agent} = await shop(1)

    for (const name of ['a', 'b', 'c', 'd']) {
      const {status, gpus} = await create(name, 'quarter')
      expect(status).toBe('running')
      expect(gpus).toMatchObject([{index: 0, share: {memoryMiB: 6144, cardMiB: 24_576, percent: 25}}])
    }
    expect(await create('e', 'quarter')).toMatchObject({status: 'creating', gpus: []})
    expect(await create('f', 'whole')).toMatchObject({status: 'creating', gpus: []})

    expect(await services.gpus.list({}, admin)).toMatchObject([
      {state: 'shared', memoryFreeMiB: 0, claim: expect.stringContaining('a')},
    ])
    expect(await services.nodes.get({id: 'gpu-1'}, admin)).toMatchObject({gpusFree: 0})
    expect(agent('gpu-1').doubles).toEqual([])
    const told = agent('gpu-1').desired?.instances[0]
    expect(told).toMatchObject({hamiCore, gpus: [{index: 0, share: {memoryMiB: 6144, percent: 25}}]})
  })

  test('what is given back is sold again, and a card of which nobody has any part is whole again', async () => {
    const {create, services, caller, settle, store} = await shop(1)
    for (const name of ['a', 'b', 'c', 'd']) await create(name, 'quarter')
    await create('next', 'quarter')
    await services.instances.delete({id: 'b'}, caller)
    await settle()
    expect(await services.instances.get({id: 'next'}, caller)).toMatchObject({status: 'running'})

    await create('all', 'whole')
    for (const id of ['a', 'c', 'd', 'next']) await services.instances.delete({id}, caller)
    await settle()
    expect(await services.instances.get({id: 'all'}, caller)).toMatchObject({status: 'running'})
    expect(await store.allocations.listLive()).toHaveLength(1)
  })

  test('W3.4: the parts of one instance are on different cards, and whole cards stay whole', async () => {
    const {create} = await shop(4)
    expect((await create('a', 'quarter')).gpus).toMatchObject([{index: 0}])
    expect((await create('b', 'two-halves')).gpus).toMatchObject([{index: 0}, {index: 1}])
    expect((await create('c', 'quarter')).gpus).toMatchObject([{index: 0}])
    expect((await create('d', 'whole')).gpus.map(({index}) => index)).toEqual([2])
  })

  test('W3.3-10: image and spec must both be able to', async () => {
    const {services, admin, caller} = await shop(1)
    await services.images.create({name: 'plain', address: 'busybox'}, admin)
    for (const image of ['plain', 'busybox:latest']) {
      await expect(services.instances.create({image, spec: 'quarter'}, caller)).rejects.toMatchObject({
        code: 'input_invalid',
        details: {field: 'image'},
      })
    }
    expect(await services.instances.create({image: 'plain', spec: 'whole'}, caller)).toMatchObject({status: 'creating'})
  })

  test('W3.3-10: a spec that can be split and says no memory is one of whole cards', async () => {
    const {spec, create} = await shop(1)
    await spec('vague', {memorySplit: true})
    const {gpus} = await create('a', 'vague')
    expect(gpus).toEqual([{index: 0, uuid: 'GPU-gpu-1-0', model: 'RTX 4090', simulated: true}])
  })

  test('a claim cannot ask for a part by itself', async () => {
    const {services, caller} = await shop(1)
    const asked = {image: 'anything', gpus: {count: 1, shareMiB: 1024}}
    await expect(services.claims.submit(asked, caller)).rejects.toMatchObject({details: {field: 'gpus.shareMiB'}})
  })

  test('W3.3-10: a node without HAMi-core splits nothing, and says so', async () => {
    const {services, admin, caller, settle} = await shop(1)
    await services.nodes.update({id: 'gpu-1', hamiCore: ''}, admin)
    await settle()
    const found = await services.instances.match({spec: 'quarter', all: true}, caller)
    expect(found).toMatchObject([{fits: false, capacity: 0, reason: expect.stringContaining('HAMi')}])
  })

  test('a restart of the server forgets no part', async () => {
    const fleet = await shop(1)
    for (const name of ['a', 'b', 'c']) await fleet.create(name, 'quarter')
    await fleet.restart()
    expect(await fleet.create('d', 'quarter')).toMatchObject({status: 'running'})
    expect(await fleet.create('e', 'quarter')).toMatchObject({status: 'creating'})
    expect(fleet.agent('gpu-1').doubles).toEqual([])
  })

  test('whatever comes and goes, no card is sold twice and no memory more than once', async () => {
    const fleet = await shop(3)
    await fleet.spec('third', {gpuMemoryGiB: 8, memorySplit: true})
    const step = fc.record({
      spec: fc.constantFrom('whole', 'quarter', 'two-halves', 'third'),
      ends: fc.option(fc.nat(20), {nil: undefined}),
    })
    const steps = fc.sample(fc.array(step, {minLength: 60, maxLength: 60}), {numRuns: 1, seed: 7})[0]!
    const live: string[] = []
    for (const [number, {spec, ends}] of steps.entries()) {
      const name = `job-${number}`
      await fleet.create(name, spec)
      live.push(name)
      if (ends === undefined) continue
      const [gone] = live.splice(ends % live.length, 1)
      await fleet.services.instances.delete({id: gone!}, fleet.caller)
      await fleet.settle()
    }
    expect(fleet.agent('gpu-1').doubles).toEqual([])
    expect(fleet.errors).toEqual([])
    const soldMiB = new Map<number, number>()
    for (const {gpus} of await fleet.store.allocations.listLive()) {
      for (const {index, share} of gpus) soldMiB.set(index, (soldMiB.get(index) ?? 0) + (share?.memoryMiB ?? 24_576))
    }
    expect([...soldMiB.values()].every(mib => mib <= 24_576)).toBe(true)
    expect(soldMiB.size).toBe(3)
  })
})

describe('matching (wire.md 3.4)', () => {
  test('W3.1-14 W3.4: listed nodes only, the fullest that fits first, with free figures', async () => {
    const {services, admin, caller, settle} = await world({
      nodes: [
        gpuNode('roomy', 8),
        gpuNode('snug', 2),
        gpuNode('other', 4, {model: 'RTX 4090 D'}),
        gpuNode('hidden', 1),
      ],
    })
    await services.nodes.update({id: 'hidden', listed: false}, admin)
    await services.nodes.update({id: 'snug', region: 'eu-1', publicIp: '192.0.2.1', dataDisk: '1TB'}, admin)
    await services.specs.create(
      {name: 'pair', gpuModel: 'RTX 4090', gpuCount: 2, gpuMemoryGiB: 48, cpus: 8, dataDiskGiB: 100, pricePerHour: 2.5},
      admin,
    )
    await settle()

    const found = await services.instances.match({spec: 'pair', all: true}, caller)

    expect(found.map(({name, fits, capacity}) => ({name, fits, capacity}))).toEqual([
      {name: 'snug', fits: true, capacity: 1},
      {name: 'roomy', fits: true, capacity: 4},
      {name: 'hidden', fits: false, capacity: 0},
      {name: 'other', fits: false, capacity: 0},
    ])
    expect(found[0]).toMatchObject({
      ...{region: 'eu-1', publicIp: '192.0.2.1', gpuModel: 'RTX 4090', gpuCount: 2, gpusFree: 2},
      ...{gpuMemoryMiB: 24_576, gpuMemoryFreeMiB: 24_576, cpus: 32, cpusFree: 32, memoryMiB: 131_072},
      ...{dataDiskGiB: 1024, dataDiskFreeGiB: 1024, systemDiskGiB: null, pricePerHour: 2.5, reason: ''},
    })
    expect(found[2]?.reason).toBe('not listed')
    expect(found[3]?.reason).toContain('RTX 4090 D ≠ RTX 4090')
    expect(await services.instances.match({spec: 'pair'}, caller)).toHaveLength(2)
  })

  test('W3.4: stopped ones count, failed ones do not', async () => {
    const {services, admin, caller, settle} = await world({nodes: [gpuNode('gpu-1', 1)]})
    await services.specs.create({name: 'one', gpuCount: 1}, admin)
    const create = async (name: string, image: string) => {
      await services.instances.create({name, image, spec: 'one'}, caller)
      await settle()
    }
    await create('a', 'cuda')
    await services.instances.stop({id: 'a'}, caller)
    await settle()
    expect(await services.instances.match({spec: 'one'}, caller)).toEqual([])
    await services.instances.delete({id: 'a'}, caller)
    await settle()

    await services.instances.create({name: 'b', image: 'cuda', spec: 'one', command: ['exit', '3']}, caller)
    await settle()
    expect(await services.instances.get({id: 'b'}, caller)).toMatchObject({status: 'failed'})
    expect(await services.instances.match({spec: 'one'}, caller)).toHaveLength(1)
  })

  test('W3.4 W6.5-11: what the operator wrote counts until the machine has spoken, and a processor model is no number', async () => {
    const {services, admin, settle} = await world({nodes: [gpuNode('gpu-1', 1, {cpus: 16, memoryMiB: 65_536})]})
    const said = {cpu: 'Intel Xeon Gold 6248', memory: '256GB'}
    await services.nodes.add({name: 'far', ...said}, admin)
    await services.nodes.add({name: 'counted', cpu: '48 cores', memory: 128}, admin)
    await services.nodes.update({id: 'gpu-1', ...said}, admin)
    await services.specs.create({name: 'one'}, admin)
    await settle()

    const found = await services.instances.match({spec: 'one', all: true}, admin)

    expect(found.map(({name, cpus, memoryMiB}) => [name, cpus, memoryMiB])).toEqual([
      ['gpu-1', 16, 65_536],
      ['counted', 48, 131_072],
      ['far', 0, 262_144],
    ])
  })

  test('W3.4: a data disk that was promised is promised once', async () => {
    const {services, admin, caller, settle} = await world({nodes: [gpuNode('gpu-1', 4)]})
    await services.nodes.update({id: 'gpu-1', dataDisk: '250GB'}, admin)
    await services.specs.create({name: 'disk', gpuCount: 1, dataDiskGiB: 100}, admin)
    await settle()
    for (const name of ['a', 'b', 'c']) await services.instances.create({name, image: 'cuda', spec: 'disk'}, caller)
    await settle()

    expect(await services.instances.get({id: 'b'}, caller)).toMatchObject({status: 'running'})
    expect(await services.instances.get({id: 'c'}, caller)).toMatchObject({status: 'creating'})
    const [node] = await services.instances.match({spec: 'disk', all: true}, caller)
    expect(node).toMatchObject({fits: false, dataDiskFreeGiB: 50, reason: expect.stringContaining('data disk')})
  })

  test('W3.1-13: an instance knows what it was made from, and goes where it is told', async () => {
    const {services, admin, caller, settle} = await world({nodes: [gpuNode('snug', 1), gpuNode('roomy', 8)]})
    const image = await services.images.create({name: 'cuda', address: 'nvidia/cuda:12'}, admin)
    const spec = await services.specs.create(
      {name: 'one', gpuCount: 1, gpuModel: 'RTX 4090', gpuMemoryGiB: 24, memoryGiB: 8, cpus: 4},
      admin,
    )
    const wish = {name: 'dev', image: String(image.number), spec: String(spec.number), node: 'roomy', remark: 'mine'}
    const {id} = await services.instances.create(wish, caller)
    await settle()

    expect(await services.instances.get({id}, caller)).toMatchObject({
      ...{node: 'roomy', status: 'running', image: 'nvidia/cuda:12', remark: 'mine'},
      catalogueImage: {id: image.id, number: image.number, name: 'cuda'},
      catalogueSpec: {id: spec.id, number: spec.number, name: 'one'},
    })
  })

  test('what is not offered cannot be rented, except by administrators', async () => {
    const {services, admin, caller} = await world({nodes: [gpuNode('gpu-1', 1)]})
    await services.images.create({name: 'secret', address: 'cuda', listed: false}, admin)
    await services.specs.create({name: 'hidden', gpuCount: 0, listed: false}, admin)
    await services.specs.create({name: 'open', gpuCount: 0}, admin)
    const create = (image: string, spec: string, by = caller) => services.instances.create({image, spec}, by)

    await expect(create('secret', 'open')).rejects.toMatchObject({details: {field: 'image'}})
    await expect(create('cuda', 'hidden')).rejects.toMatchObject({details: {field: 'spec'}})
    expect(await create('secret', 'hidden', admin)).toMatchObject({status: 'creating'})
  })

  test('a card that is sold as 24 GB reports a little less, and will do', async () => {
    const {services, admin, caller} = await world({nodes: [gpuNode('gpu-1', 1, {gpuMemoryMiB: 24_564})]})
    await services.specs.create({name: 'one', gpuCount: 1, gpuMemoryGiB: 24}, admin)
    expect(await services.instances.match({spec: 'one'}, caller)).toMatchObject([{name: 'gpu-1', fits: true}])
  })
})
