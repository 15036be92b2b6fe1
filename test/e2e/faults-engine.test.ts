import {existsSync} from 'node:fs'
import {performance} from 'node:perf_hooks'
import {describe, expect, test} from 'vitest'
import {type Dockerd, dockerdMissing, sharedDocker, testDockerd} from '../support/docker.ts'
import {engineProxy} from '../support/engine-proxy.ts'
import {unmet} from '../support/skips.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, sleeper, wholeFleet} from '../support/whole-fleet.ts'

async function ownEngine(context: {skip(note?: string): never}, liveRestore: boolean): Promise<Dockerd> {
  const missing = unmet('busybox') ?? (await dockerdMissing())
  if (missing) context.skip(missing)
  return testDockerd({name: 'gpuctl-faults', liveRestore})
}

describe('F3: an engine that is killed', () => {
  test('with live restore its containers run on, nothing is moved, and new work waits for it', async context => {
    const engine = await ownEngine(context, true)
    const fleet = await wholeFleet({engine})
    const claim = await fleet.running({gpus: {count: 1}, restart: 'always'})
    const before = await fleet.container(claim)

    await engine.kill9()
    await fleet.untilNode(({runtimeState}) => runtimeState === 'degraded', 5_000)
    const late = await fleet.submit({gpus: {count: 1}})
    const waiting = await fleet.untilClaim(late.id, ({status}) => status.reason !== '')
    expect(waiting.status).toMatchObject({phase: 'Pending', reason: expect.stringContaining('not answering')})
    expect(await fleet.claim(claim.id)).toMatchObject({status: {phase: 'Running', epoch: 1}})
    expect(existsSync(`/proc/${before.State.Pid}`)).toBe(true)

    await engine.restart()
    await fleet.untilNode(({runtimeState}) => runtimeState === 'ok', 25_000)
    await fleet.untilClaim(late.id, ({status}) => status.phase === 'Running')
    expect((await fleet.container(claim)).State).toMatchObject({
      Pid: before.State.Pid,
      StartedAt: before.State.StartedAt,
    })
    expect(await fleet.instance(claim)).toMatchObject({status: 'running', restarts: 0, epoch: 1})
    expect(await fleet.faults()).toEqual([])
  })

  test('without it claims fail or are started again by their policy, and freed GPUs are sold again', async context => {
    const engine = await ownEngine(context, false)
    const fleet = await wholeFleet({engine})
    const command = ['sleep', '1000']
    const mortal = await fleet.running({gpus: {count: 1}, command})
    const lasting = await fleet.running({gpus: {count: 1}, command, restart: 'on-failure'})
    const next = await fleet.submit({gpus: {count: 1}})
    const before = await fleet.container(lasting)

    await engine.kill9()
    await fleet.untilNode(({runtimeState}) => runtimeState === 'degraded', 5_000)
    expect(await fleet.claim(mortal.id)).toMatchObject({status: {phase: 'Running'}})
    await engine.restart()

    const failed = await fleet.untilClaim(mortal.id, ({status}) => status.phase === 'Failed', 25_000)
    expect(failed.status).toMatchObject({reason: 'DockerRestarted'})
    await fleet.untilClaim(next.id, ({status}) => status.phase === 'Running')
    await fleet.untilInstance(lasting, ({status, restarts}) => status === 'running' && restarts === 1)
    const after = await fleet.container(lasting)
    expect(after.Id).toBe(before.Id)
    expect(after.State.StartedAt).not.toBe(before.State.StartedAt)
    expect(await fleet.faults()).toEqual([])
  })
})

test('F4: an engine that hangs degrades its node; the control server answers as ever, and all goes on afterwards', async context => {
  const engine = await ownEngine(context, true)
  const fleet = await wholeFleet({engine})
  const claim = await fleet.running({gpus: {count: 1}})
  const before = await fleet.container(claim)

  engine.pause()
  const answersMs: number[] = []
  const ask = async (work: () => Promise<unknown>) => {
    const sinceMs = performance.now()
    await work()
    answersMs.push(performance.now() - sinceMs)
  }
  let isDegraded = false
  const deadline = performance.now() + 15_000
  while ((!isDegraded || answersMs.length < 200) && performance.now() < deadline) {
    await ask(async () => {
      isDegraded = (await fleet.node()).runtimeState === 'degraded'
    })
    await ask(() => fleet.client.call('claims.list', {limit: 100}))
  }
  expect(isDegraded).toBe(true)
  await ask(() => fleet.submit({name: 'late', gpus: {count: 1}}))
  await ask(() => fleet.client.call('instances.stop', {id: claim.instanceId, graceSeconds: 1}))
  const [slowest] = answersMs.sort((a, b) => a - b).slice(Math.ceil(answersMs.length * 0.99) - 1)
  expect(slowest).toBeLessThan(100)

  engine.resume()
  await fleet.untilNode(({runtimeState}) => runtimeState === 'ok', 20_000)
  await fleet.untilInstance(claim, ({status}) => status === 'exited')
  expect((await fleet.container(claim)).Id).toBe(before.Id)
  const [late] = await fleet.client.call('claims.list', {name: 'late'})
  await fleet.untilClaim(late?.id ?? '', ({status}) => status.phase === 'Running')
  expect(await fleet.faults()).toEqual([])
})

describe('an engine whose answers are lost', () => {
  test.for([
    ['F5: a container that was created and not answered for is adopted', /^POST \S*\/containers\/create/],
    ['F5: a container that was started and not answered for is adopted', /^POST \S*\/containers\/\w+\/start/],
  ] as const)('%s', async ([, request], context) => {
    await needEngine(context)
    const proxy = await engineProxy((await sharedDocker()).socketPath)
    const fleet = await wholeFleet({agentSocketPath: proxy.socketPath})
    const lost = proxy.loseReplies(request, 2)

    const claims = await Promise.all([1, 2].map(() => fleet.submit({gpus: {count: 1}})))
    for (const {id} of claims) await fleet.untilClaim(id, ({status}) => status.phase === 'Running')

    expect(lost.fired).toBe(2)
    expect(await fleet.containers()).toHaveLength(2)
    for (const claim of claims) expect(await fleet.instance(claim)).toMatchObject({restarts: 0, epoch: 1})
    expect(await fleet.faults()).toEqual([])
  })

  test('F5: a container that was removed and not answered for is gone for the server, too', async context => {
    await needEngine(context)
    const proxy = await engineProxy((await sharedDocker()).socketPath)
    const fleet = await wholeFleet({agentSocketPath: proxy.socketPath, fakeGpus: '1xRTX4090'})
    const first = await fleet.running({gpus: {count: 1}})
    const next = await fleet.submit({gpus: {count: 1}})
    const lost = proxy.loseReplies(/^DELETE \S*\/containers\//, 1)

    await fleet.client.call('claims.cancel', {id: first.id, graceSeconds: 1})
    await fleet.untilClaim(next.id, ({status}) => status.phase === 'Running')

    expect(lost.fired).toBe(1)
    expect(await fleet.containers(first)).toEqual([])
    expect(await fleet.faults()).toEqual([])
  })
})

describe('a claim that is cancelled while its container comes to be', () => {
  test.for([
    ['during the pull', /^POST \S*\/images\/create/, 'gpuctl-test.invalid/absent:1'],
    ['during the creation', /^POST \S*\/containers\/create/, undefined],
    ['during the start', /^POST \S*\/containers\/\w+\/start/, undefined],
  ] as const)('%s leaves nothing, and its GPUs go to the next', async ([, request, image], context) => {
    await needEngine(context)
    const proxy = await engineProxy((await sharedDocker()).socketPath)
    const fleet = await wholeFleet({agentSocketPath: proxy.socketPath, fakeGpus: '1xRTX4090'})
    const held = proxy.hold(request)
    const claim = await fleet.submit({gpus: {count: 1}, ...(image ? {image} : {command: sleeper})})
    await eventually(() => held.fired > 0, {withinMs: 10_000, what: 'the request is on its way'})

    const {status} = await fleet.client.call('claims.cancel', {id: claim.id, graceSeconds: 0})
    expect(status.phase).toBe('Released')
    const next = await fleet.submit({gpus: {count: 1}})
    held.release()

    await fleet.untilClaim(next.id, ({status}) => status.phase === 'Running')
    await eventually(async () => (await fleet.containers(claim)).length === 0)
    expect(held.fired).toBeGreaterThan(0)
    expect(await fleet.claim(claim.id)).toMatchObject({status: {phase: 'Released', reason: 'Cancelled'}})
    expect(await fleet.faults()).toEqual([])
  })
})
