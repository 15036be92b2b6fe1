import {describe, expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

const gpus = (count: number) => ({gpus: {count}})

describe('the life of a claim', () => {
  test('a claim runs on the fullest node that can still hold it', async () => {
    const {services, caller, settle, agent} = await world({nodes: [gpuNode('roomy', 8), gpuNode('snug', 2)]})

    const {id, name} = await services.claims.submit({image: 'cuda', ...gpus(2)}, caller)
    await settle()

    const {status} = await services.claims.get({id}, caller)
    expect(status).toMatchObject({phase: 'Running', nodeName: 'snug', epoch: 1, gpus: [{index: 0}, {index: 1}]})
    expect(agent('snug').running()).toHaveLength(1)
    expect(await services.instances.get({id: name}, caller)).toMatchObject({
      status: 'running',
      node: 'snug',
      claim: name,
    })
  })

  test('a claim that waits for a node follows it under a new name', async () => {
    const {services, caller, admin, settle} = await world({nodes: [gpuNode('one', 1), gpuNode('two', 1)]})
    const first = await services.claims.submit({image: 'cuda', node: 'one', ...gpus(1)}, caller)
    const second = await services.claims.submit({image: 'cuda', node: 'one', ...gpus(1)}, caller)
    await settle()

    const {id} = await services.nodes.get({id: 'one'}, admin)
    await services.nodes.update({id, name: 'uno'}, admin)
    expect(await services.claims.get({id: second.id}, caller)).toMatchObject({
      spec: {node: 'uno'},
      status: {phase: 'Pending', reason: expect.not.stringContaining(id)},
    })
    await services.claims.cancel({id: first.id}, caller)
    await settle()

    expect((await services.claims.get({id: second.id}, caller)).status).toMatchObject({
      phase: 'Running',
      nodeName: 'uno',
    })
  })

  test('a claim that must wait says why, and runs when the first is cancelled', async () => {
    const {services, caller, settle, agent} = await world({nodes: [gpuNode('one', 1)]})
    const first = await services.claims.submit({image: 'cuda', name: 'first', ...gpus(1)}, caller)
    await services.claims.submit({image: 'cuda', name: 'second', ...gpus(1)}, caller)
    await settle()
    const waiting = await services.claims.get({id: 'second'}, caller)
    expect(waiting.status).toMatchObject({
      phase: 'Pending',
      position: 1,
      reason: 'Unschedulable: one has 0 of 1 GPUs free',
    })

    await services.claims.cancel({id: first.id}, caller)
    await settle()

    expect((await services.claims.get({id: 'second'}, caller)).status.phase).toBe('Running')
    expect((await services.claims.get({id: first.id}, caller)).status).toMatchObject({
      phase: 'Released',
      reason: 'Cancelled',
    })
    expect(
      agent('one')
        .running()
        .map(({wanted}) => wanted.name),
    ).toEqual(['second'])
    expect(agent('one').doubles).toEqual([])
  })

  test('exit code 0 completes it and frees the GPU; another code fails it', async () => {
    const {services, caller, settle, store, agent} = await world({nodes: [gpuNode('one', 1)]})
    await services.claims.submit({image: 'cuda', name: 'good', command: ['exit', '0'], ...gpus(1)}, caller)
    await services.claims.submit({image: 'cuda', name: 'bad', command: ['exit', '3'], ...gpus(1)}, caller)
    await settle()

    expect((await services.claims.get({id: 'good'}, caller)).status).toMatchObject({phase: 'Completed', exitCode: 0})
    expect((await services.claims.get({id: 'bad'}, caller)).status).toMatchObject({
      phase: 'Failed',
      reason: 'ExitCode 3',
      exitCode: 3,
    })
    expect(await store.allocations.listLive()).toEqual([])
    // the ended containers stay for their logs
    expect(agent('one').containers.size).toBe(2)
  })

  test('with restart on-failure it is started again on the same GPUs, later each time', async () => {
    const {services, caller, settle, agent, pass} = await world({nodes: [gpuNode('one', 1)]})
    await services.claims.submit({image: 'cuda', name: 'train', restart: 'on-failure', ...gpus(1)}, caller)
    await settle()

    await agent('one').exit('train', 1)
    await settle()
    expect((await services.claims.get({id: 'train'}, caller)).status).toMatchObject({
      phase: 'Running',
      reason: 'Restarting: ExitCode 1',
    })
    await pass(5_000)

    expect(await services.instances.get({id: 'train'}, caller)).toMatchObject({
      status: 'running',
      restarts: 1,
      epoch: 1,
    })
  })

  test('an image that is missing is tried again, then it fails with the reason', async () => {
    const {services, caller, settle, pass, store} = await world({nodes: [gpuNode('one', 1)]})
    await services.claims.submit({image: 'missing', name: 'typo', ...gpus(1)}, caller)
    await settle()
    expect((await services.claims.get({id: 'typo'}, caller)).status).toMatchObject({phase: 'Pending', attempts: 1})

    await pass(60_000)

    const {status} = await services.claims.get({id: 'typo'}, caller)
    expect(status).toMatchObject({phase: 'Failed', reason: 'ImageMissing: no missing', epoch: 4})
    expect(await store.allocations.listLive()).toEqual([])
  })

  test('a container that is removed behind our back fails the claim', async () => {
    const {services, caller, settle, agent, store} = await world({nodes: [gpuNode('one', 1)]})
    await services.claims.submit({image: 'cuda', name: 'gone', ...gpus(1)}, caller)
    await settle()

    await agent('one').vanish('gone')
    await settle()

    expect((await services.claims.get({id: 'gone'}, caller)).status).toMatchObject({
      phase: 'Failed',
      reason: 'ContainerGone',
    })
    expect(await store.allocations.listLive()).toEqual([])
  })

  test('the longest time ends it as failed', async () => {
    const {services, caller, settle, pass, agent, store} = await world({nodes: [gpuNode('one', 1)]})
    await services.claims.submit({image: 'cuda', name: 'long', maxTimeSeconds: 20, ...gpus(1)}, caller)
    await settle()

    await pass(25_000)

    expect((await services.claims.get({id: 'long'}, caller)).status).toMatchObject({phase: 'Failed', reason: 'MaxTime'})
    expect(agent('one').running()).toEqual([])
    expect(await store.allocations.listLive()).toEqual([])
  })

  test('a stopped instance keeps its GPUs, starts again, and frees them when deleted', async () => {
    const {services, caller, settle, agent, store} = await world({nodes: [gpuNode('one', 1)]})
    await services.claims.submit({image: 'cuda', name: 'box', ...gpus(1)}, caller)
    await settle()

    await services.instances.stop({id: 'box'}, caller)
    await settle()
    expect((await services.claims.get({id: 'box'}, caller)).status).toMatchObject({phase: 'Running', reason: 'Stopped'})
    expect((await services.instances.get({id: 'box'}, caller)).status).toBe('exited')
    expect(await store.allocations.listLive()).toHaveLength(1)

    await services.instances.start({id: 'box'}, caller)
    await settle()
    expect((await services.instances.get({id: 'box'}, caller)).status).toBe('running')

    await services.instances.delete({id: 'box'}, caller)
    await settle()
    expect(agent('one').containers.size).toBe(0)
    expect(await store.allocations.listLive()).toEqual([])
    await expect(services.instances.start({id: 'box'}, caller)).rejects.toMatchObject({code: 'instance_finished'})
  })

  test('a controller that was killed goes on where it was', async () => {
    const made = await world({nodes: [gpuNode('one', 2)]})
    const {caller, settle, agent} = made
    await made.services.claims.submit({image: 'cuda', name: 'a', ...gpus(1)}, caller)
    await settle()
    agent('one').isStuck = true
    await made.services.claims.submit({image: 'cuda', name: 'b', ...gpus(1)}, caller)
    await made.services.claims.submit({image: 'cuda', name: 'c', ...gpus(1)}, caller)
    await settle()
    expect((await made.services.claims.get({id: 'b'}, caller)).status.phase).toBe('Scheduled')

    agent('one').isStuck = false
    await made.restart()

    expect((await made.services.claims.get({id: 'a'}, caller)).status.phase).toBe('Running')
    expect((await made.services.claims.get({id: 'b'}, caller)).status.phase).toBe('Running')
    expect((await made.services.claims.get({id: 'c'}, caller)).status.phase).toBe('Pending')
    expect(agent('one').containers.get([...agent('one').containers.keys()][0]!)!.starts).toBe(1)
    expect(made.errors).toEqual([])
  })

  test('F6: a node that stays silent loses its work by policy, and what still runs there is ended on its return', async () => {
    const {services, caller, settle, pass, agent, agents} = await world({
      nodes: [gpuNode('dead', 2), ...['x', 'y', 'z'].map(name => gpuNode(name, 2))],
    })
    await services.claims.submit({image: 'cuda', name: 'keep', restart: 'always', node: 'dead', ...gpus(1)}, caller)
    await services.claims.submit({image: 'cuda', name: 'once', node: 'dead', ...gpus(1)}, caller)
    await settle()
    await agent('dead').disconnect()

    await pass(120_000)
    expect((await services.instances.get({id: 'once'}, caller)).status).toBe('unknown')
    await pass(600_000)
    expect((await services.claims.get({id: 'once'}, caller)).status).toMatchObject({
      phase: 'Failed',
      reason: 'NodeLost',
    })
    expect((await services.claims.get({id: 'keep'}, caller)).status.phase).toBe('Pending')
    expect(agent('dead').running()).toHaveLength(2)

    await agent('dead').connect()
    await settle()

    expect((await services.claims.get({id: 'keep'}, caller)).status).toMatchObject({phase: 'Running', epoch: 2})
    expect(
      agent('dead')
        .running()
        .map(({wanted}) => wanted.containerName.slice(-2)),
    ).toEqual(['-2'])
    expect(agents().flatMap(({doubles}) => doubles)).toEqual([])
  })

  test('F7: when most of the fleet falls silent at once nobody is given up', async () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    const {services, caller, settle, pass, agents, admin} = await world({nodes: names.map(name => gpuNode(name, 1))})
    for (const name of names) await services.claims.submit({image: 'cuda', name, ...gpus(1)}, caller)
    await settle()
    for (const agent of agents().slice(0, 3)) await agent.disconnect()

    await pass(1_500_000)

    const claims = await services.claims.list({}, caller)
    expect(claims.map(({status}) => status.phase)).toEqual(names.map(() => 'Running'))
    expect((await services.server.status({}, admin)).problems.join()).toContain('fell silent at once')
  }, 30_000)

  test('F16: while the engine does not answer nothing is rescheduled', async () => {
    const {services, caller, settle, pass, agent} = await world({nodes: [gpuNode('one', 1), gpuNode('two', 1)]})
    await services.claims.submit({image: 'cuda', name: 'job', node: 'one', ...gpus(1)}, caller)
    await settle()
    await agent('one').beat('degraded')
    await settle()

    const explained = await services.claims.explainSpec({image: 'cuda', ...gpus(1)}, caller)
    expect(explained.nodes.find(({node}) => node === 'one')?.reason).toContain('is not answering')
    expect((await services.claims.get({id: 'job'}, caller)).status.phase).toBe('Running')
    await pass(10_000)
    expect((await services.claims.get({id: 'job'}, caller)).status.phase).toBe('Running')
  })

  test('deleting a node needs its name while it has work, and gives the work up', async () => {
    const {services, caller, settle, admin, store} = await world({nodes: [gpuNode('one', 1)]})
    await services.claims.submit({image: 'cuda', name: 'job', ...gpus(1)}, caller)
    await settle()

    await expect(services.nodes.delete({id: 'one'}, admin)).rejects.toMatchObject({code: 'node_busy'})
    await services.nodes.delete({id: 'one', confirm: 'one'}, admin)
    await settle()

    expect((await services.claims.get({id: 'job'}, caller)).status).toMatchObject({
      phase: 'Failed',
      reason: 'NodeDeleted',
    })
    expect(await store.allocations.listLive()).toEqual([])
  })
})
