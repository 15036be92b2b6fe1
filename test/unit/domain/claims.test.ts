import {beforeEach, describe, expect, test} from 'vitest'
import {need} from '../../support/skips.ts'
import {gpuNode, world} from '../../support/world.ts'

const gpus = (count: number) => ({gpus: {count}})

describe.each(['sqlite', 'postgres'] as const)('submitting a claim on %s', store => {
  beforeEach(context => {
    if (store === 'postgres') need(context, 'postgres')
  })

  test('I3: the same Idempotency-Key means the same claim, another body is refused', async () => {
    const {services, caller} = await world({store})
    const keyed = {...caller, idempotencyKey: 'k1'}

    const made = await Promise.all(
      Array.from({length: 8}, () => services.claims.submit({image: 'cuda', env: {A: '1'}}, keyed)),
    )

    expect(new Set(made.map(({id}) => id)).size).toBe(1)
    expect(await services.claims.list({}, caller)).toHaveLength(1)
    await expect(services.claims.submit({image: 'other'}, keyed)).rejects.toMatchObject({code: 'key_reused'})
  })

  test('I3: who has no quota, whose submits do not wait for each other, gets one claim for one key and name as well', async () => {
    const {services, admin} = await world({store})
    const submit = (key: number) =>
      services.claims.submit({image: 'cuda', name: `train-${key}`}, {...admin, idempotencyKey: `k${key}`})

    const made = await Promise.all(Array.from({length: 48}, (_, index) => submit(index % 6)))

    expect(new Set(made.map(({id}) => id)).size).toBe(6)
    expect(await services.claims.list({}, admin)).toHaveLength(6)
    const again = services.claims.submit({image: 'cuda', name: 'train-0'}, {...admin, idempotencyKey: 'another'})
    await expect(again).rejects.toMatchObject({code: 'name_taken'})
  })

  test('I9: of 20 submits at once the quota lets pass what it holds', async () => {
    const {services, makeUser} = await world({store})
    const bob = await makeUser('bob', {gpuQuota: 5})

    const settled = await Promise.allSettled(
      Array.from({length: 20}, () => services.claims.submit({image: 'cuda', ...gpus(1)}, bob)),
    )

    expect(settled.filter(({status}) => status === 'fulfilled')).toHaveLength(5)
    const refused = settled.flatMap(one => (one.status === 'rejected' ? [one.reason] : []))
    expect(refused[0]).toMatchObject({code: 'claim_over_quota', details: {asked: 1, quota: 5, left: 0}})
  })

  test('F13: 100 claims, one GPU: exactly one runs at a time, oldest first', async () => {
    const {services, caller, settle, agent} = await world({store, nodes: [gpuNode('one', 1)]})
    const made = await Promise.all(
      Array.from({length: 100}, () => services.claims.submit({image: 'cuda', ...gpus(1)}, caller)),
    )
    await settle()
    const order: string[] = []

    for (let round = 0; round < 10; round++) {
      const running = await services.claims.list({phase: 'Running'}, caller)
      expect(running).toHaveLength(1)
      order.push(running[0]!.id)
      await services.claims.cancel({id: running[0]!.id}, caller)
      await settle()
    }

    const byAge = [...made].sort((a, b) => a.number - b.number).map(({id}) => id)
    expect(order).toEqual(byAge.slice(0, 10))
    expect(agent('one').doubles).toEqual([])
  })

  test('names are unique among live claims of an owner, and made up when absent', async () => {
    const {services, caller, makeUser} = await world({store})
    await services.claims.submit({image: 'cuda', name: 'train'}, caller)

    await expect(services.claims.submit({image: 'cuda', name: 'train'}, caller)).rejects.toMatchObject({
      code: 'name_taken',
    })
    await services.claims.cancel({id: 'train'}, caller)
    await services.claims.submit({image: 'cuda', name: 'train'}, caller)
    await services.claims.submit({image: 'cuda', name: 'train'}, await makeUser('bob', {}))
    expect((await services.claims.submit({image: 'nvidia/cuda:12.0'}, caller)).name).toMatch(/^cuda-[a-z2-9]{4}$/)
  })

  test('T18: what belongs to others looks absent, by id, number, name and prefix', async () => {
    const {services, caller, makeUser, admin} = await world({store})
    const {id, number, name} = await services.claims.submit({image: 'cuda', name: 'mine'}, caller)
    const bob = await makeUser('bob', {})

    for (const reference of [id, String(number), name, id.slice(0, 8)]) {
      await expect(services.claims.get({id: reference}, bob)).rejects.toMatchObject({code: 'not_found'})
      await expect(services.claims.cancel({id: reference}, bob)).rejects.toMatchObject({code: 'not_found'})
      expect((await services.claims.get({id: reference}, caller)).id).toBe(id)
      expect((await services.claims.get({id: reference}, admin)).id).toBe(id)
    }
    await expect(services.instances.stop({id: name}, bob)).rejects.toMatchObject({code: 'not_found'})
    expect(await services.claims.list({all: true}, bob)).toEqual([])
    expect(await services.events.list({kind: 'claim'}, bob)).toEqual([])
  })

  test('an ambiguous reference names the candidates', async () => {
    const {services, caller, makeUser, admin} = await world({store})
    await services.claims.submit({image: 'cuda', name: 'same'}, caller)
    await services.claims.submit({image: 'cuda', name: 'same'}, await makeUser('bob', {}))

    await expect(services.claims.get({id: 'same'}, admin)).rejects.toMatchObject({code: 'name_ambiguous'})
  })

  test('priority above the maximum is refused; --no-queue and --dry-run record nothing', async () => {
    const {services, caller, makeUser} = await world({store, nodes: [gpuNode('one', 1)]})
    const bob = await makeUser('bob', {gpuQuota: 10})
    await expect(services.claims.submit({image: 'cuda', priority: 1}, bob)).rejects.toMatchObject({
      code: 'priority_too_high',
    })
    await expect(services.claims.submit({image: 'cuda', ...gpus(2), noQueue: true}, bob)).rejects.toMatchObject({
      code: 'claim_impossible',
      message: 'No node can take this claim now: one has only 1 GPUs, 2 asked',
    })

    expect(await services.claims.submit({image: 'cuda', name: 'dry', dryRun: true}, bob)).toMatchObject({name: 'dry'})
    expect(await services.claims.list({}, bob)).toEqual([])
    expect((await services.claims.explainSpec({image: 'cuda', ...gpus(4)}, caller)).possible).toBe(false)
  })

  test('each changing call leaves an audit row', async () => {
    const {services, caller, store: tables, admin} = await world({store})
    await services.claims.submit({image: 'cuda', name: 'a'}, caller)
    await services.claims.cancel({id: 'a'}, caller)
    await services.users.create({username: 'eve', password: 'correct horse'}, admin)
    await services.images.create({name: 'cuda', address: 'nvidia/cuda:12'}, admin)

    const actions = (await tables.audit.list(10)).map(({action}) => action)
    expect(actions).toEqual(expect.arrayContaining(['claims.submit', 'claims.cancel', 'users.create', 'images.create']))
  })
})
