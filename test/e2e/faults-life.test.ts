import {describe, expect, test} from 'vitest'
import {eventually} from '../support/wait.ts'
import {needEngine, wholeFleet} from '../support/whole-fleet.ts'

const sh = (script: string) => ['sh', '-c', script]

test('F16: what is stopped, started or removed behind our back is told within 2 s, and a freed GPU is sold again', async context => {
  await needEngine(context)
  const fleet = await wholeFleet({fakeGpus: '1xRTX4090'})
  const claim = await fleet.running({gpus: {count: 1}, restart: 'on-failure'})
  const next = await fleet.submit({gpus: {count: 1}})
  const container = fleet.docker.getContainer(claim.status.containerId)

  // docker stop: the workload ends with 0.
  await container.stop({t: 5})
  await fleet.untilClaim(claim.id, ({status}) => status.phase === 'Completed', 2_000)
  await fleet.untilClaim(next.id, ({status}) => status.phase === 'Running')
  expect((await container.inspect()).State.Running).toBe(false)

  // docker rm -f
  const {containerId} = (await fleet.claim(next.id)).status
  await fleet.docker.getContainer(containerId).remove({force: true})
  const gone = await fleet.untilClaim(next.id, ({status}) => status.phase === 'Failed', 2_000)
  expect(gone.status.reason).toMatch(/^(ContainerGone|ExitCode 137)$/) // killed, then removed: either may be seen first
  expect(await fleet.node()).toMatchObject({gpusFree: 1})

  // docker start of a stopped instance: it is stopped again, since stopped is what is wanted.
  const third = await fleet.running({gpus: {count: 1}})
  await fleet.client.call('instances.stop', {id: third.instanceId, graceSeconds: 1})
  await fleet.untilInstance(third, ({status}) => status === 'exited')
  const stopped = await fleet.container(third)
  await fleet.docker.getContainer(stopped.Id).start()
  await eventually(async () => {
    const {State} = await fleet.container(third)
    return State.StartedAt !== stopped.State.StartedAt && !State.Running
  })
  expect(await fleet.instance(third)).toMatchObject({status: 'exited', desired: 'stopped'})
  expect(await fleet.faults()).toEqual([])
})

test('what runs on a node that is deleted ends there at once', async context => {
  await needEngine(context)
  const fleet = await wholeFleet()
  const claim = await fleet.running({gpus: {count: 1}})
  const {name} = await fleet.node()

  await expect(fleet.client.call('nodes.delete', {id: name})).rejects.toMatchObject({code: 'node_busy'})
  await fleet.client.call('nodes.delete', {id: name, confirm: name})

  await eventually(async () => (await fleet.containers(claim)).length === 0, {withinMs: 20_000, what: 'its end'})
  expect((await fleet.claim(claim.id)).status).toMatchObject({phase: 'Failed', reason: 'NodeDeleted'})
})

describe('how a workload ends', () => {
  test('out of memory is said so', async context => {
    await needEngine(context)
    const fleet = await wholeFleet()
    const {id} = await fleet.submit({memoryMiB: 16, command: sh('head -c 200000000 /dev/zero | tail')})

    const {status} = await fleet.untilClaim(id, ({status}) => status.phase === 'Failed')

    expect(status).toMatchObject({reason: 'OutOfMemory', exitCode: 137})
    expect((await fleet.container({id})).State).toMatchObject({OOMKilled: true})
  })

  test('what runs longer than its time is stopped', async context => {
    await needEngine(context)
    const fleet = await wholeFleet()
    const {id} = await fleet.running({gpus: {count: 2}, maxTimeSeconds: 1})

    const {status} = await fleet.untilClaim(id, ({status}) => status.phase === 'Failed', 6_000)

    expect(status).toMatchObject({reason: 'MaxTime'})
    await eventually(async () => !(await fleet.container({id})).State.Running)
    await fleet.untilNode(({gpusFree}) => gpusFree === 2)
    expect(await fleet.faults()).toEqual([])
  })

  test('on-failure starts it again until it succeeds, always also after success', async context => {
    await needEngine(context)
    const fleet = await wholeFleet()
    // The container stays the same, and with it its files.
    const twice = sh('echo turn; [ -e /tmp/was ] && exit 0; touch /tmp/was; exit 3')
    const failing = await fleet.submit({restart: 'on-failure', command: twice})
    const endless = await fleet.submit({restart: 'always', command: sh('echo turn; exit 0')})

    const done = await fleet.untilClaim(failing.id, ({status}) => status.phase === 'Completed')
    expect(done.status).toMatchObject({exitCode: 0, epoch: 1})
    // A busy engine may refuse a start, which is then asked for once more; the workload itself ran twice.
    expect((await fleet.instance(failing)).restarts).toBeGreaterThanOrEqual(1)
    expect(await fleet.output(failing)).toBe('turn\nturn\n')
    expect(await fleet.containers(failing)).toHaveLength(1)

    await fleet.untilInstance(endless, ({restarts}) => restarts >= 2)
    expect(await fleet.claim(endless.id)).toMatchObject({status: {phase: 'Running'}})
    await fleet.client.call('claims.cancel', {id: endless.id})
    await eventually(async () => (await fleet.containers(endless)).length === 0)
  })
})
