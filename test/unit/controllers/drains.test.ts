import {describe, expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

const one = {image: 'cuda', gpus: {count: 1}}

/** Work of all kinds on one node, and another node that takes none yet. */
async function busyNode() {
  const place = await world({nodes: [gpuNode('old', 8), gpuNode('new', 8)]})
  const {services, admin, caller, settle} = place
  await services.nodes.cordon({id: 'new'}, admin)
  await services.claims.submit({...one, name: 'served', restart: 'always'}, caller)
  await services.claims.submit({...one, name: 'job'}, caller)
  await services.claims.submit({...one, name: 'pinned', restart: 'always', node: 'old'}, caller)
  await services.claims.submit({...one, name: 'data', restart: 'always', dataDiskGiB: 1}, caller)
  await services.claims.submit({...one, name: 'halted', restart: 'always'}, caller)
  await settle()
  await services.instances.stop({id: 'halted'}, caller)
  await settle()
  await services.nodes.uncordon({id: 'new'}, admin)
  const phase = async (id: string) => (await place.services.claims.get({id}, caller)).status
  const node = () => place.services.nodes.get({id: 'old'}, admin)
  const types = async () =>
    (await services.events.list({kind: 'node', object: (await node()).id, limit: 1000}, admin)).map(({type}) => type)
  return {...place, phase, node, types}
}

describe('a drain', () => {
  test('tells before what becomes of the work, and changes nothing by that', async () => {
    const {services, admin, node} = await busyNode()

    const {work} = await services.nodes.drain({id: 'old', dryRun: true}, admin)
    const forced = await services.nodes.drain({id: 'old', dryRun: true, force: true}, admin)

    const fates = (found: typeof work) => Object.fromEntries(found.map(({claim, fate}) => [claim, fate]))
    expect(fates(work)).toEqual({
      served: 'moves',
      job: 'finishes',
      pinned: 'finishes',
      data: 'finishes',
      halted: 'stopped',
    })
    expect(fates(forced.work)).toEqual({served: 'moves', job: 'ends', pinned: 'moves', data: 'ends', halted: 'ends'})
    expect(await node()).toMatchObject({schedulable: true, drain: null})
  })

  test('moves what can go, lets the rest finish, and says when nothing is left', async () => {
    const {services, admin, caller, settle, pass, agent, phase, node, types} = await busyNode()

    await services.nodes.drain({id: 'old', reason: 'new fans'}, admin)
    await settle()
    await pass(5_000)

    expect(await phase('served')).toMatchObject({phase: 'Running', nodeName: 'new', epoch: 2})
    expect(await phase('job')).toMatchObject({phase: 'Running', nodeName: 'old'})
    expect(await node()).toMatchObject({
      schedulable: false,
      cordonReason: 'new fans',
      drain: {state: 'draining', left: 4, by: 'root'},
    })
    expect(await services.events.list({kind: 'claim', object: 'served'}, caller)).toContainEqual(
      expect.objectContaining({type: 'Moved', message: 'old is drained; served goes back to the queue.'}),
    )

    for (const name of ['pinned', 'data', 'halted']) await services.claims.cancel({id: name}, caller)
    await agent('old').exit('job', 0)
    await settle()
    await pass(10_000)

    expect(await phase('job')).toMatchObject({phase: 'Completed'})
    expect(await node()).toMatchObject({drain: {state: 'drained', left: 0}, schedulable: false})
    expect((await types()).filter(type => type.startsWith('Drain'))).toEqual(['DrainStarted', 'Draining', 'Drained'])
    expect(agent('old').running()).toEqual([])
  })

  test('leaves unfinished at its deadline what nobody forces, and ends it then with force', async () => {
    const {services, admin, settle, pass, phase, node} = await busyNode()

    await services.nodes.drain({id: 'old', deadlineSeconds: 60}, admin)
    await pass(70_000)
    expect(await node()).toMatchObject({drain: {state: 'unfinished', left: 4}})
    expect(await phase('job')).toMatchObject({phase: 'Running', nodeName: 'old'})

    await services.nodes.drain({id: 'old', deadlineSeconds: 60, force: true}, admin)
    await settle()
    expect(await phase('job')).toMatchObject({phase: 'Running'})
    await pass(70_000)

    expect(await phase('job')).toMatchObject({phase: 'Failed', reason: 'Drained'})
    expect(await phase('halted')).toMatchObject({phase: 'Failed', reason: 'Drained'})
    expect(await phase('pinned')).toMatchObject({phase: 'Pending', reason: 'Drained'})
    expect(await node()).toMatchObject({drain: {state: 'drained', left: 0}})
  })

  test('uncordon ends it, and what waited for the node comes back', async () => {
    const {services, admin, settle, pass, phase, node} = await busyNode()
    await services.nodes.drain({id: 'old', force: true}, admin)
    await pass(10_000)

    await services.nodes.uncordon({id: 'old'}, admin)
    await settle()
    await pass(5_000)

    expect(await node()).toMatchObject({schedulable: true, cordonReason: '', drain: null})
    expect(await phase('pinned')).toMatchObject({phase: 'Running', nodeName: 'old'})
  })

  test('goes on after a restart of the server', async () => {
    const {services, admin, settle, pass, phase, node, restart, clock} = await busyNode()
    await services.nodes.drain({id: 'old', deadlineSeconds: 60, force: true}, admin)
    await settle()

    clock.advance(61_000)
    await restart()
    await pass(20_000)

    expect(await phase('job')).toMatchObject({phase: 'Failed', reason: 'Drained'})
    expect(await node()).toMatchObject({drain: {state: 'drained'}})
  })

  test('waits for a node that is away: nobody could tell whether its containers have ended', async () => {
    const {services, admin, settle, pass, phase, agent, node} = await busyNode()
    await agent('old').disconnect()

    await services.nodes.drain({id: 'old', force: true}, admin)
    await pass(10_000)
    expect(await phase('served')).toMatchObject({phase: 'Running', nodeName: 'old'})

    await agent('old').connect()
    await settle()
    await pass(10_000)
    expect(await phase('served')).toMatchObject({phase: 'Running', nodeName: 'new'})
    expect(await node()).toMatchObject({drain: {state: 'drained'}})
  })

  test('lets a container end before its claim begins elsewhere, but not for ever', async () => {
    const {services, admin, settle, pass, phase, agent} = await busyNode()
    agent('old').isStuck = true

    await services.nodes.drain({id: 'old'}, admin)
    await settle()
    await pass(60_000)
    expect(await phase('served')).toMatchObject({phase: 'Pending', reason: 'Drained'})

    await pass(70_000)
    expect(await phase('served')).toMatchObject({phase: 'Running', nodeName: 'new'})
  })

  test('is for who administers the node, who sees no names of others', async () => {
    const {services, makeUser, admin} = await busyNode()
    const keeper = await makeUser('keeper', {role: 'node_admin'})

    await expect(services.nodes.drain({id: 'old'}, keeper)).rejects.toMatchObject({code: 'node_not_assigned'})
    await services.users.assign({id: 'keeper', node: 'old'}, admin)

    const {work} = await services.nodes.drain({id: 'old', dryRun: true}, keeper)
    expect(work).toHaveLength(5)
    expect(work.every(({claim, owner}) => claim === null && owner === null)).toBe(true)
  })
})
