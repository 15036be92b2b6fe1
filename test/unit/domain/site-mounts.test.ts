import {describe, expect, test, vi} from 'vitest'
import type {InputOf} from '../../../src/contract/contract.ts'
import {siteWorld} from '../../support/site-world.ts'
import {need} from '../../support/skips.ts'
import {gpuNode} from '../../support/world.ts'

vi.setConfig({testTimeout: 30_000})

type Submission = InputOf<'claims.submit'>
const claim = (site: string, rest: Partial<Submission> = {}): Submission => ({
  image: 'busybox',
  volumes: [{site, path: '/data'}],
  ...rest,
})

describe.each(['sqlite', 'postgres'] as const)('sites that claims mount, in %s', kind => {
  const open = (context: {skip(note?: string): never}) => {
    if (kind === 'postgres') need(context, 'postgres')
    return siteWorld('directory', kind)
  }

  test('the claim runs on the node of its site, and the node is told of the volume and of no path of its own', async context => {
    const {services, caller: alice, makeSite, settle, agent, pool, join} = await open(context)
    await join(gpuNode('n0', 8))
    await makeSite('data', {owner: 'alice'})
    const made = await services.claims.submit(
      claim('data', {volumes: [{site: 'data', path: '/srv/data', readOnly: true}]}),
      alice,
    )
    await settle()

    const {spec, status} = await services.claims.get({id: made.id}, alice)
    expect({node: spec.node, ran: status.nodeName}).toEqual({node: 'n1', ran: 'n1'})
    const wanted = agent('n1').desired?.instances.find(({claimId}) => claimId === made.id)
    expect(wanted?.sites).toEqual([{pool, type: 'directory', volume: 'data', path: '/srv/data', readOnly: true}])
    expect((await services.claims.explainSpec(claim('data'), alice)).verdict).toContain('It fits on n1')
  })

  test('a site is not deleted while a claim waits or runs with it, and can be when the claim is over', async context => {
    const {services, admin, makeSite, settle, done} = await open(context)
    await makeSite('data')
    const {id} = await services.claims.submit(claim('data', {gpus: {count: 2}}), admin)
    const waits = await services.claims.submit(claim('data', {gpus: {count: 2}}), admin)
    const destroy = () => services.sites.delete({id: 'data', confirm: 'data'}, admin)
    await expect(destroy()).rejects.toMatchObject({code: 'site_in_use'})
    await settle()
    await services.claims.cancel({id: waits.id}, admin)
    await expect(destroy()).rejects.toMatchObject({code: 'site_in_use'})
    expect(await services.sites.get({id: 'data'}, admin)).toMatchObject({status: 'active'})

    await services.claims.cancel({id}, admin)
    await settle()
    await done(destroy())
    await expect(services.claims.submit(claim('data'), admin)).rejects.toMatchObject({code: 'not_found'})
  })

  test('of a deletion and a claim at the same moment only one comes to pass', async context => {
    const {services, admin, makeSite, ended} = await open(context)
    for (const name of ['a', 'b', 'c', 'd']) {
      await makeSite(name)
      const [claimed, deleted] = await Promise.allSettled([
        services.claims.submit(claim(name), admin),
        services.sites.delete({id: name, confirm: name}, admin),
      ])
      expect([claimed.status, deleted.status].sort()).toEqual(['fulfilled', 'rejected'])
      if (deleted.status === 'fulfilled') await ended(deleted.value.task!.id)
    }
  })
})

test('T18: a foreign site cannot be mounted and looks absent, to administrators of its node too', async () => {
  const {services, admin, caller: alice, makeUser, makeSite} = await siteWorld('directory')
  const bob = await makeUser('bob', {})
  const carol = await makeUser('carol', {role: 'node_admin'})
  await services.users.assign({id: 'carol', node: 'n1'}, admin)
  await makeSite('data', {owner: 'alice'})
  const {id} = await services.sites.get({id: 'data'}, alice)

  for (const who of [bob, carol]) {
    for (const site of [id, 'data', '1']) {
      await expect(services.claims.submit(claim(site), who)).rejects.toMatchObject({code: 'not_found'})
      await expect(services.claims.explainSpec(claim(site), who)).rejects.toMatchObject({code: 'not_found'})
    }
  }
  await expect(services.claims.submit(claim(id), admin)).resolves.toMatchObject({spec: {node: 'n1'}})
})

test('volumes that cannot stand beside one another are refused with the reason', async () => {
  const {services, admin, makeSite, join} = await siteWorld('directory')
  await join(gpuNode('n0', 0))
  await makeSite('one')
  await makeSite('two')
  const submit = (rest: Partial<Submission>) => services.claims.submit({image: 'busybox', ...rest}, admin)
  const at = (path: string, other: string) => ({
    volumes: [
      {site: 'one', path},
      {site: 'two', path: other},
    ],
  })
  const refused = (message: string) => ({code: 'input_invalid', message: expect.stringContaining(message)})

  await expect(submit(at('/data', '/data'))).rejects.toMatchObject(refused('meet at /data'))
  await expect(submit(at('/data', '/data/deep'))).rejects.toMatchObject(refused('meet at /data/deep'))
  await expect(submit({...at('/data', '/b'), dataDiskGiB: 1})).rejects.toMatchObject(refused('meet at /data'))
  await expect(submit({...at('/a', '/b'), node: 'n0'})).rejects.toMatchObject(refused('lie on node n1'))
  await expect(submit({...at('/a', '/b'), image: 'host'})).rejects.toMatchObject(refused('process of the node'))
  await expect(submit(at('/data', '/data2'))).resolves.toMatchObject({spec: {node: 'n1'}})
})
