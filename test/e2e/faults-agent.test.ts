import {randomInt} from 'node:crypto'
import {setTimeout as pause} from 'node:timers/promises'
import {describe, expect, test} from 'vitest'
import type {Claim} from '../../src/contract/schemas/claims.ts'
import {label} from '../../src/runtime/labels.ts'
import {acceleratedClock} from '../support/accelerated-clock.ts'
import {busyboxImage} from '../support/images.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, sleeper, wholeFleet} from '../support/whole-fleet.ts'

test('F2: an agent killed while instances are made, run and end takes them over: none twice, none started again, no end missed', async context => {
  await needEngine(context)
  const fleet = await wholeFleet({agent: 'process', fakeGpus: '4xRTX4090'})
  const steady = await fleet.running({gpus: {count: 1}})
  const {Id, State} = await fleet.container(steady)
  const rounds = 5
  let killed = 0

  for (let round = 0; round < rounds; round++) {
    const ending = await fleet.running({gpus: {count: 1}})
    const beginning = await fleet.submit({gpus: {count: 1}})
    const leaving = await fleet.submit({gpus: {count: 1}})
    await pause(randomInt(300)) // the moment of the kill: somewhere between the wish and the running container
    await fleet.client.call('claims.cancel', {id: leaving.id, graceSeconds: 1})
    await fleet.killAgent()
    killed++
    await fleet.docker.getContainer(ending.status.containerId).kill({signal: 'SIGTERM'})
    await fleet.startAgent()

    await fleet.untilClaim(beginning.id, ({status}) => status.phase === 'Running', 20_000)
    const ended = await fleet.untilClaim(ending.id, ({status}) => status.phase === 'Completed')
    expect(ended.status).toMatchObject({exitCode: 0, epoch: 1})
    await eventually(async () => (await fleet.containers(leaving)).length === 0, {withinMs: 10_000})
    for (const claim of [steady, beginning]) {
      expect(await fleet.instance(claim)).toMatchObject({status: 'running', epoch: 1, restarts: 0})
      expect(await fleet.container(claim)).toMatchObject({Name: `/gpuctl-${claim.id}-1`, State: {Running: true}})
    }
    expect(await fleet.faults()).toEqual([])
    await fleet.client.call('claims.cancel', {id: beginning.id, graceSeconds: 1})
  }

  expect(killed).toBe(rounds)
  const after = await fleet.container(steady)
  expect(after).toMatchObject({Id, State: {Pid: State.Pid, StartedAt: State.StartedAt}})
})

test('F22: a server that is stopped and started again finds its agent, and a followed log goes on without a gap', async context => {
  await needEngine(context)
  const fleet = await wholeFleet({server: 'process'})
  const count = 'i=0; while [ $i -lt 160 ]; do i=$((i+1)); echo "line $i"; sleep 0.05; done; exit 4'
  const claim = await fleet.running({gpus: {count: 1}, command: ['sh', '-c', count]})
  const before = await fleet.container(claim)
  const lines: string[] = []
  const following = (async () => {
    for await (const {event, data} of fleet.client.events('instances.followLogs', {id: claim.instanceId})) {
      if (event === 'end') return data as unknown as {exitCode: number}
      lines.push(...data.text.trimEnd().split('\n'))
    }
    return undefined
  })()
  await eventually(() => lines.length > 10)

  expect(await fleet.server.stop()).toMatchObject({code: 0})
  expect((await fleet.container(claim)).State).toMatchObject({Running: true, Pid: before.State.Pid})
  await fleet.server.startAgain()

  await fleet.untilNode(({connected}) => connected)
  expect((await fleet.container(claim)).Id).toBe(before.Id)
  expect(await following).toMatchObject({exitCode: 4})
  expect(lines).toEqual(Array.from({length: 160}, (_, index) => `line ${index + 1}`))
  const ended = await fleet.untilClaim(claim.id, ({status}) => status.phase === 'Failed')
  expect(ended.status).toMatchObject({reason: 'ExitCode 4', exitCode: 4, epoch: 1})
  expect(await fleet.instance(claim)).toMatchObject({restarts: 0})
})

describe('I6: containers that nobody wants', () => {
  test('a stray of this node is left alone for its grace and gone within two looks; those of others stay', async context => {
    await needEngine(context)
    // Ten seconds in one, so that the two looks of a minute take six.
    const clock = acceleratedClock(10)
    const fleet = await wholeFleet({agentClock: clock})
    const kept = await fleet.running({gpus: {count: 1}})
    const make = async (labels: Record<string, string>) => {
      const Labels = {[label.allocation]: 'nobody-knows-it', ...labels}
      const container = await fleet.docker.createContainer({
        Image: busyboxImage,
        Cmd: sleeper,
        Labels,
        HostConfig: {Init: true},
      })
      context.onTestFinished(() => container.remove({force: true}).catch(() => {}))
      await container.start()
      return container
    }
    const isThere = (container: {inspect(): Promise<unknown>}) =>
      container.inspect().then(
        () => true,
        () => false,
      )
    const madeAtMs = clock.monotonic()
    const stray = await make({[label.server]: fleet.serverId, [label.node]: fleet.nodeId})
    const ofOtherNode = await make({[label.server]: fleet.serverId, [label.node]: 'another-node'})
    const ofOtherServer = await make({[label.server]: 'another-server', [label.node]: fleet.nodeId})

    await eventually(async () => !(await isThere(stray)), {withinMs: 12_000, what: 'the stray goes'})

    const afterMs = clock.monotonic() - madeAtMs
    expect(afterMs).toBeGreaterThan(25_000)
    expect(afterMs).toBeLessThan(75_000) // a minute, and what the engine takes, which is not accelerated
    expect([await isThere(ofOtherNode), await isThere(ofOtherServer)]).toEqual([true, true])
    expect((await fleet.container(kept)).State.Running).toBe(true)
  })

  test('a container whose claim the server forgot while the agent was away is not sold into, and goes', async context => {
    await needEngine(context)
    const fleet = await wholeFleet({agent: 'process', fakeGpus: '1xRTX4090'})
    const first = await fleet.running({gpus: {count: 1}})
    await fleet.killAgent()
    await fleet.client.call('claims.cancel', {id: first.id, graceSeconds: 1})
    const next: Claim = await fleet.submit({gpus: {count: 1}})
    expect(await fleet.claim(next.id)).toMatchObject({status: {phase: 'Pending'}})
    expect((await fleet.container(first)).State.Running).toBe(true)

    await fleet.startAgent()
    await fleet.untilClaim(next.id, ({status}) => status.phase === 'Running')
    expect(await fleet.containers(first)).toEqual([])
    expect(await fleet.faults()).toEqual([])
  })
})
