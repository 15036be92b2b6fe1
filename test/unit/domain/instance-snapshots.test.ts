import {expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

const work = {image: 'cuda', gpus: {count: 1}, name: 'train'}

test('a snapshot is a task on the node, listed with its size, and goes when it is deleted', async () => {
  const {services, caller, admin, settle, agent, store} = await world({nodes: [gpuNode('one', 1)]})
  const claim = await services.claims.submit(work, caller)
  await settle()

  const {task, snapshot} = await services.instances.snapshot({id: 'train', name: 'first'}, caller)
  expect(snapshot).toMatchObject({state: 'creating', imageId: '', sizeBytes: null, instance: 'train', node: 'one'})
  expect(task).toMatchObject({type: 'instance.snapshot', object: 'train', node: 'one'})
  await settle()

  expect(await services.tasks.get({id: task.id}, caller)).toMatchObject({
    status: 'completed',
    result: {instance: 'train', snapshot: 'first', sizeBytes: 100},
  })
  expect(await services.instances.snapshots({id: 'train'}, caller)).toMatchObject([
    {name: 'first', state: 'ready', sizeBytes: 100, createdBy: 'alice', imageId: `sha256:${snapshot.id}`},
  ])
  await expect(services.instances.snapshot({id: 'train', name: 'first'}, caller)).rejects.toMatchObject({
    code: 'name_taken',
  })
  const missing = services.instances.deleteSnapshot({id: 'train', snapshot: 'second'}, caller)
  await expect(missing).rejects.toMatchObject({code: 'not_found'})
  await services.instances.deleteSnapshot({id: 'train', snapshot: 'first'}, caller)
  await settle()

  expect(agent('one').snapshots.size).toBe(0)
  expect(await store.instanceSnapshots.going(agent('one').nodeId)).toEqual([])
  expect(await services.audit.list({action: 'instances.deleteSnapshot'}, admin)).toMatchObject([
    {object: claim.instanceId, details: {instance: 'train', snapshot: 'first'}},
  ])
})

test('snapshots go with their instance, also where the volumes are kept', async () => {
  const {services, caller, settle, agent, store} = await world({nodes: [gpuNode('one', 1)]})
  await services.claims.submit(work, caller)
  await settle()
  for (const name of ['first', 'second']) {
    await services.instances.snapshot({id: 'train', name}, caller)
    await settle()
  }
  expect(agent('one').snapshots.size).toBe(2)

  await services.instances.delete({id: 'train', keepVolumes: true}, caller)
  await settle()

  expect(agent('one').snapshots.size).toBe(0)
  expect(await services.instances.snapshots({id: 'train'}, caller)).toEqual([])
  expect(await store.instanceSnapshots.going(agent('one').nodeId)).toEqual([])
  await expect(services.instances.snapshot({id: 'train'}, caller)).rejects.toMatchObject({code: 'instance_finished'})
})

test('what is deleted at the same moment keeps no snapshot, whoever comes first', async () => {
  const {services, caller, settle, agent, store} = await world({nodes: [gpuNode('one', 1)]})
  const outcomes = new Set<string>()
  for (let moments = 0; moments < 24; moments++) {
    const {instanceId: id} = await services.claims.submit({...work, name: `train-${moments}`}, caller)
    await settle()

    const deleting = services.instances.delete({id}, caller)
    for (let moment = 0; moment < moments; moment++) await null
    const [taken, deleted] = await Promise.allSettled([services.instances.snapshot({id}, caller), deleting])
    await settle()

    expect(deleted.status).toBe('fulfilled')
    outcomes.add(taken.status === 'rejected' ? taken.reason.code : 'taken')
    expect(await store.instanceSnapshots.list(id)).toEqual([])
    expect(await store.instanceSnapshots.going(agent('one').nodeId)).toEqual([])
    expect(agent('one').snapshots.size).toBe(0)
  }
  expect(outcomes).toEqual(new Set(['taken', 'instance_finished']))
})

test('an instance has ten snapshots at most, one is made at a time, and what fails leaves nothing', async () => {
  const {services, caller, settle, agent} = await world({nodes: [gpuNode('one', 2)]})
  await services.claims.submit(work, caller)
  await services.claims.submit({...work, name: 'broken', env: {SNAPSHOT: 'broken'}}, caller)
  await settle()
  const take = (name?: string) => services.instances.snapshot({id: 'train', name}, caller)

  await take('s0')
  await expect(take('s1')).rejects.toMatchObject({code: 'task_conflict'})
  const busy = services.instances.deleteSnapshot({id: 'train', snapshot: 's0'}, caller)
  await expect(busy).rejects.toMatchObject({code: 'snapshot_unfinished'})
  await settle()
  for (let index = 1; index < 10; index++) {
    await take(`s${index}`)
    await settle()
  }
  await expect(take()).rejects.toMatchObject({
    code: 'snapshot_impossible',
    message: 'Instance train cannot be kept: it has 10 snapshots.',
  })

  const {task} = await services.instances.snapshot({id: 'broken', name: 'never'}, caller)
  await settle()
  expect(await services.tasks.get({id: task.id}, caller)).toMatchObject({status: 'failed'})
  expect(await services.instances.snapshots({id: 'broken'}, caller)).toEqual([])
  expect(agent('one').snapshots.size).toBe(10)
})

test('an administrator of the node pushes a snapshot, nobody else does, and what cannot be pushed is not kept', async () => {
  const {services, caller, admin, settle, agent, makeUser, store} = await world({nodes: [gpuNode('one', 2)]})
  await services.claims.submit(work, caller)
  const keeper = await makeUser('keeper', {role: 'node_admin', gpuQuota: 1})
  await services.claims.submit({...work, name: 'kept'}, keeper)
  await settle()
  const push = 'ghcr.io/team/train:v1'

  for (const [id, one] of [
    ['train', caller],
    ['kept', keeper],
  ] as const)
    await expect(services.instances.snapshot({id, push}, one)).rejects.toMatchObject({
      code: 'push_not_allowed',
      message: 'Only an administrator of node one may push: it is done with the login that the node has.',
    })
  await store.nodeAdmins.assign(keeper.id, agent('one').nodeId)
  await services.instances.snapshot({id: 'kept', push: 'ghcr.io/team/kept'}, keeper)
  await settle()
  const {task, snapshot} = await services.instances.snapshot({id: 'train', name: 'first', push}, admin)
  await settle()

  const pushed = expect.stringMatching(/^ghcr.io\/team\/train:v1@sha256:[0-9a-f]{64}$/)
  expect(await services.tasks.get({id: task.id}, admin)).toMatchObject({
    ...{status: 'completed', result: {instance: 'train', snapshot: 'first', sizeBytes: 100, pushed}},
    steps: [{name: 'commit'}, {name: 'push', title: 'Pushing it from one as ghcr.io/team/train:v1'}],
  })
  expect(agent('one').pushed).toEqual(['ghcr.io/team/kept', push])
  expect(await services.audit.list({action: 'instances.snapshot'}, admin)).toContainEqual(
    expect.objectContaining({
      object: snapshot.instanceId,
      details: expect.objectContaining({instance: 'train', snapshot: 'first', node: 'one', push}),
    }),
  )
  const refused = await services.instances.snapshot({id: 'train', name: 'second', push: 'refused/train'}, admin)
  await settle()
  expect(await services.tasks.get({id: refused.task.id}, admin)).toMatchObject({
    ...{status: 'failed', error: {message: expect.stringContaining('denied')}},
  })
  expect(await services.instances.snapshots({id: 'train'}, caller)).toMatchObject([{name: 'first'}])
  expect(agent('one').snapshots.size).toBe(2)
})

test('others see no snapshots; a node without images, and one that is away, keep none', async () => {
  const {services, caller, settle, agent, makeUser} = await world({
    nodes: [gpuNode('one', 1), gpuNode('bare', 0, {images: false})],
  })
  await services.claims.submit(work, caller)
  await services.claims.submit({image: 'host', name: 'shell', node: 'bare'}, caller)
  await services.claims.submit({...work, name: 'waits', gpus: {count: 1}}, caller)
  await settle()
  const bob = await makeUser('bob', {gpuQuota: 1})

  const {task} = await services.instances.snapshot({id: 'train'}, caller)
  await settle()
  const carl = await makeUser('carl', {role: 'node_admin'})
  expect(await services.tasks.list({}, carl)).toEqual([])
  await expect(services.tasks.get({id: task.id}, carl)).rejects.toMatchObject({code: 'not_found'})
  expect(await services.events.list({kind: 'task'}, carl)).toEqual([])
  expect(await services.events.list({kind: 'task'}, caller)).toHaveLength(2)
  for (const call of ['snapshots', 'snapshot'] as const)
    await expect(services.instances[call]({id: 'train'}, bob)).rejects.toMatchObject({code: 'not_found'})
  const others = services.instances.deleteSnapshot({id: 'train', snapshot: 'x'}, bob)
  await expect(others).rejects.toMatchObject({code: 'not_found'})
  await expect(services.instances.snapshot({id: 'shell'}, caller)).rejects.toMatchObject({
    code: 'snapshot_impossible',
    message: 'Instance shell cannot be kept: bare runs processes, which have no image.',
  })
  await expect(services.instances.snapshot({id: 'waits'}, caller)).rejects.toMatchObject({
    code: 'instance_not_running',
  })
  await agent('one').disconnect()
  await expect(services.instances.snapshot({id: 'train'}, caller)).rejects.toMatchObject({code: 'node_offline'})
})

test('a restore makes an instance of its snapshot: one that runs runs again, one that is stopped stays so', async () => {
  const {services, caller, admin, settle, agent} = await world({nodes: [gpuNode('one', 1)]})
  await services.claims.submit(work, caller)
  await settle()
  for (const name of ['first', 'second']) {
    await services.instances.snapshot({id: 'train', name}, caller)
    await settle()
  }
  const [first] = await services.instances.snapshots({id: 'train'}, caller)

  const asked = await services.instances.restore({id: 'train', snapshot: 'first'}, caller)
  expect(asked).toMatchObject({status: 'creating', reason: 'Restoring first', restore: {state: 'pending', count: 1}})
  const twice = services.instances.restore({id: 'train', snapshot: 'second'}, caller)
  await expect(twice).rejects.toMatchObject({code: 'restore_impossible'})
  await settle()

  const restored = {status: 'running', restore: {state: 'done'}, madeOf: {snapshot: 'first', imageId: first?.imageId}}
  expect(await services.instances.get({id: 'train'}, caller)).toMatchObject({...restored, image: 'cuda'})
  expect(agent('one').desired?.instances).toMatchObject([{restored: {count: 1, imageId: first?.imageId}}])
  const used = services.instances.deleteSnapshot({id: 'train', snapshot: 'first'}, caller)
  await expect(used).rejects.toMatchObject({code: 'snapshot_in_use'})
  await services.instances.stop({id: 'train'}, caller)
  await settle()
  await services.instances.restore({id: 'train', snapshot: 'second'}, caller)
  await settle()
  expect(await services.instances.get({id: 'train'}, caller)).toMatchObject({
    ...{status: 'exited', restore: {state: 'done', count: 2}, madeOf: {snapshot: 'second'}},
  })
  expect(await services.claims.get({id: 'train'}, caller)).toMatchObject({status: {phase: 'Running'}})
  await services.instances.start({id: 'train'}, caller)
  await settle()
  expect(await services.instances.get({id: 'train'}, caller)).toMatchObject({status: 'running'})
  await services.instances.deleteSnapshot({id: 'train', snapshot: 'first'}, caller)
  expect(await services.audit.list({action: 'instances.restore'}, admin)).toHaveLength(2)
  const types = (await services.events.list({object: 'train', limit: 1000}, caller)).map(({type}) => type)
  expect(types.filter(type => /Restore/.test(type))).toEqual(['RestoreAsked', 'Restored', 'RestoreAsked', 'Restored'])
})

test('a restore that fails leaves the instance as it was, and says why', async () => {
  const {services, caller, settle, agent} = await world({nodes: [gpuNode('one', 1)]})
  await services.claims.submit({...work, env: {RESTORE: 'broken'}}, caller)
  await settle()
  await services.instances.snapshot({id: 'train', name: 'first'}, caller)
  await settle()

  await services.instances.restore({id: 'train', snapshot: 'first'}, caller)
  await settle()

  const after = await services.instances.get({id: 'train'}, caller)
  expect(after).toMatchObject({status: 'running', restore: {state: 'failed', message: 'no space left'}})
  expect(after).not.toHaveProperty('madeOf')
  expect(agent('one').desired?.instances[0]).not.toHaveProperty('restored')
  expect(await services.events.list({object: 'train', limit: 1000}, caller)).toContainEqual(
    expect.objectContaining({
      type: 'RestoreFailed',
      message: 'train could not be made of snapshot first: no space left',
    }),
  )
  agent('one').snapshots.clear()
  const gone = services.instances.restore({id: 'train', snapshot: 'first'}, caller)
  await expect(gone).rejects.toMatchObject({code: 'restore_impossible'})
  await services.claims.cancel({id: 'train'}, caller)
  await settle()
  const over = services.instances.restore({id: 'train', snapshot: 'first'}, caller)
  await expect(over).rejects.toMatchObject({code: 'not_found'})
})
