import {describe, expect, test} from 'vitest'
import {containerSpec} from '../../../src/agent/container-spec.ts'
import type {AgentState, AgentStateStore} from '../../../src/agent/instance-record.ts'
import {stateInMemory} from '../../../src/agent/state-file.ts'
import type {DesiredInstance} from '../../../src/contract/agent-protocol.ts'
import {RuntimeError} from '../../../src/runtime/driver.ts'
import {label} from '../../../src/runtime/labels.ts'
import {desired, nodeId, wanted} from './examples.ts'
import {TestNode} from './node.ts'

const forEver = () => new Promise<never>(() => {})

function counting() {
  const calls: string[] = []
  return {
    calls,
    doubts: {after: (name: string) => void calls.push(name)},
    of: (name: string) => calls.filter(one => one === name).length,
  }
}

describe('an agent makes the host run what is wanted', () => {
  test('a wanted instance is created once and started once', async () => {
    const node = new TestNode()
    const {doubts, of} = counting()
    const {agent, told} = await node.boot({doubts})

    await agent.setDesired(desired(1, wanted()))
    await node.until(() => told()?.state === 'running')
    for (let index = 0; index < 5; index++) await agent.setDesired(desired(2 + index, wanted()))
    await agent.idle()

    expect([of('create'), of('start')]).toEqual([1, 1])
    const [found] = await node.engine.list()
    expect(found).toMatchObject({name: 'gpuctl-claim-1-1', state: 'running'})
    expect(found?.labels).toMatchObject({[label.node]: nodeId, [label.allocation]: 'claim-1/1', [label.epoch]: '1'})
  })

  test('a higher generation starts the same container again, once', async () => {
    const node = new TestNode()
    const {doubts, of} = counting()
    const {agent, told} = await node.boot({doubts})
    await agent.setDesired(desired(1, wanted()))
    const before = await node.until(() => told()?.state === 'running' && told())
    node.clock.advance(1_000)

    await agent.setDesired(desired(2, wanted({generation: 2})))
    await node.until(() => told()?.generation === 2 && told()?.state === 'running')
    await agent.idle()

    expect([of('create'), of('start'), of('stop')]).toEqual([1, 2, 1])
    expect(told()?.containerId).toBe(before.containerId)
    expect(told()?.startedAt).not.toBe(before.startedAt)
  })

  test('a container that somebody removed is reported, and not made again before the server wants it', async () => {
    const node = new TestNode()
    const {doubts, of} = counting()
    const {agent, told} = await node.boot({doubts})
    await agent.setDesired(desired(1, wanted()))
    await node.until(() => told()?.state === 'running')

    await node.engine.remove(told()?.containerId ?? '')
    await node.until(() => told()?.state === 'removed')
    node.clock.advance(60_000)
    await agent.idle()
    expect(of('create')).toBe(1)

    await agent.setDesired(desired(2, wanted({generation: 2})))
    await node.until(() => told()?.state === 'running' && told()?.generation === 2)
    expect(of('create')).toBe(2)
  })

  test('a container that somebody stopped is reported as ended', async () => {
    const node = new TestNode()
    const {agent, told} = await node.boot()
    await agent.setDesired(desired(1, wanted()))
    await node.until(() => told()?.state === 'running')

    await node.engine.stop(told()?.containerId ?? '', 0)
    await node.until(() => told()?.state === 'exited')
    expect(told()?.finishedAt).not.toBe('')
  })

  test('a creation that the engine refuses is reported, and tried once for each generation', async () => {
    const node = new TestNode()
    let tries = 0
    const before = (name: string) => {
      if (name !== 'create') return
      tries += 1
      throw new RuntimeError('invalid', 'no such flag')
    }
    const {agent, told} = await node.boot({doubts: {before}})
    await agent.setDesired(desired(1, wanted()))
    await node.until(() => told()?.state === 'failed')
    node.clock.advance(120_000)
    await agent.idle()

    expect(told()).toMatchObject({errorCode: 'invalid', message: 'no such flag'})
    expect(tries).toBe(1)
    await agent.setDesired(desired(2, wanted({generation: 2})))
    await node.until(() => tries === 2)
  })

  test('a disk that is full for a while makes an instance wait, and not fail', async () => {
    const node = new TestNode()
    let isFull = false
    const disk: AgentStateStore = {
      load: () => node.disk.load(),
      save: async state => {
        if (isFull) throw new Error('ENOSPC')
        await node.disk.save(state)
      },
    }
    const before = (name: string) => {
      if (name === 'create') isFull = true
    }
    const {agent, told} = await node.boot({disk, doubts: {before}})
    await agent.setDesired(desired(1, wanted()))
    await node.until(() => isFull)
    await agent.idle()
    expect(told()?.state).toBe('created')
    await expect(agent.setDesired(desired(2, wanted()))).rejects.toThrow('could not be saved')

    isFull = false
    await node.until(() => told()?.state === 'running')
  })

  test('a card that is not in the machine is not replaced by another one at its index', async () => {
    const node = new TestNode()
    const {agent, told} = await node.boot()
    await agent.setDesired(desired(1, wanted({gpus: [{index: 0, uuid: 'FAKE-of-another-0'}]})))

    await node.until(() => told()?.state === 'failed')
    expect(told()?.errorCode).toBe('gpu_unavailable')
    expect(await node.engine.list()).toEqual([])
  })

  test('W3.3-7: the image is pulled first, and an instance that goes meanwhile is gone at once', async () => {
    const node = new TestNode()
    const {agent, told} = await node.boot({doubts: {before: name => (name === 'pull' ? forEver() : undefined)}})
    await agent.setDesired(desired(1, wanted()))
    await node.until(() => told()?.state === 'pulling')

    await agent.setDesired(desired(2, wanted({state: 'removed'})))
    await node.until(() => told()?.state === 'removed')
    await agent.stop()
  })

  test('an older epoch of a claim is not run', async () => {
    const node = new TestNode()
    const {agent, told} = await node.boot()
    await agent.setDesired(desired(1, wanted({epoch: 2})))
    await node.until(() => told('claim-1/2')?.state === 'running')

    await agent.setDesired(desired(2, wanted({epoch: 1})))
    await agent.setDesired(desired(3, wanted({epoch: 1})))
    await agent.idle()

    expect((await node.engine.list()).map(one => one.name)).toEqual(['gpuctl-claim-1-2'])
  })

  test('a wish for another node is refused', async () => {
    const {agent} = await new TestNode().boot()

    await expect(agent.setDesired({...desired(1, wanted()), nodeId: 'node-2'})).rejects.toThrow('another node')
  })
})

describe('what an agent tells', () => {
  test('a start under the older wish is never told as the answer to a newer one', async () => {
    const node = new TestNode()
    let go = () => {}
    const isHeld = new Promise<void>(resolve => {
      go = resolve
    })
    let isStarting = false
    const before = (name: string) => {
      if (name !== 'start') return
      isStarting = true
      return isHeld
    }
    const {agent, reports} = await node.boot({doubts: {before}})
    await agent.setDesired(desired(1, wanted()))
    await node.until(() => isStarting)

    await agent.setDesired(desired(2, wanted({state: 'stopped'})))
    node.clock.advance(31_000)
    await new Promise(resolve => setImmediate(resolve))
    const answers = () => reports.filter(one => one.type === 'instances' && one.desiredRevision === 2)
    expect(answers()).toEqual([])

    go()
    await node.until(async () => (await node.engine.list())[0]?.state === 'exited')
    await node.until(() => {
      const last = answers().at(-1)
      return last?.type === 'instances' && last.instances[0]?.state === 'exited'
    })
  })

  test('before the engine has shown its containers nothing is told of them', async () => {
    const node = new TestNode()
    const first = await node.boot()
    await first.agent.setDesired(desired(1, wanted()))
    await node.until(() => first.told()?.state === 'running')
    await first.agent.idle()

    let isAway = true
    const before = () => {
      if (isAway) throw new RuntimeError('unreachable', 'no engine')
    }
    const {agent, reports, told} = await node.boot({doubts: {before}, disk: stateInMemory()})
    await agent.setDesired(desired(2, wanted({state: 'removed'})))
    await node.until(() => agent.runtime.state === 'degraded')
    await agent.idle()
    const beats = () => reports.filter(one => one.type === 'beat').length
    const beatsBefore = beats()
    await node.until(() => beats() > beatsBefore + 3)
    expect(told()).toBeUndefined()

    isAway = false
    await node.until(() => told()?.state === 'removed')
    expect(await node.engine.list()).toEqual([])
    expect(reports.findLast(one => one.type === 'inventory')).toBeDefined()
  })

  test('an agent that lost its memory does not tell that nothing is there', async () => {
    const node = new TestNode()
    const {agent, reports} = await node.boot()
    await node.until(() => agent.runtime.state === 'ok')
    await node.until(() => reports.some(one => one.type === 'instances'))

    expect(reports.filter(one => one.type === 'instances' && one.complete)).toEqual([])
  })

  test('an engine that hangs makes the node degraded, and well again when it answers', async () => {
    const node = new TestNode()
    let hangs = false
    const before = (name: string) => {
      if (hangs && name !== 'watch') throw new RuntimeError('timeout', 'no answer in 2 s')
    }
    const {agent, reports} = await node.boot({doubts: {before}})
    await node.until(() => agent.runtime.state === 'ok')
    hangs = true
    await node.until(() => agent.runtime.state === 'degraded')
    const beat = await node.until(() =>
      reports.findLast(one => one.type === 'beat' && one.beat.runtimeState === 'degraded'),
    )
    expect(beat).toMatchObject({beat: {runtimeReason: 'no answer in 2 s'}})

    hangs = false
    await node.until(() => agent.runtime.state === 'ok')
  })

  test('beats come in their sequence, with the cards', async () => {
    const node = new TestNode()
    const {agent, reports} = await node.boot()
    await node.until(() => reports.filter(one => one.type === 'beat').length >= 3)
    await agent.stop()

    const beats = reports.flatMap(one => (one.type === 'beat' ? [one.beat] : []))
    expect(reports[0]).toMatchObject({type: 'hello', bootId: beats[0]?.bootId, inventory: {runtime: 'fake'}})
    const sequences = beats.map(beat => beat.sequence)
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b))
    expect(beats[0]?.gpus).toHaveLength(2)
  })
})

describe('containers that nobody wants', () => {
  const stray = () =>
    containerSpec(wanted({claimId: 'lost'}), {
      nodeId,
      gpu: () => ({index: 0, uuid: '', vendor: 'fake', devicePaths: []}),
    })

  test('go after a grace, once the server has spoken', async () => {
    const node = new TestNode()
    await node.engine.create(stray())
    const {agent} = await node.boot()
    await node.until(() => agent.runtime.state === 'ok')
    for (let minutes = 0; minutes < 5; minutes++) {
      node.clock.advance(30_000)
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(await node.engine.list()).toHaveLength(1)

    await agent.setDesired(desired(1, wanted()))
    const spokenMs = node.clock.monotonic()
    await node.until(async () => (await node.engine.list()).every(one => one.name !== stray().name))
    expect(node.clock.monotonic() - spokenMs).toBeGreaterThanOrEqual(25_000)
    expect(node.clock.monotonic() - spokenMs).toBeLessThanOrEqual(62_000)
    expect(await node.engine.list()).toHaveLength(1)
  })

  test('of another node on the same engine are left alone', async () => {
    const node = new TestNode()
    const foreign = stray()
    await node.engine.create({...foreign, labels: {...foreign.labels, [label.node]: 'node-2'}})
    const {agent} = await node.boot()
    await agent.setDesired(desired(1))
    for (let index = 0; index < 10; index++) {
      node.clock.advance(30_000)
      await new Promise(resolve => setImmediate(resolve))
    }

    expect(await node.engine.list()).toHaveLength(1)
  })

  test('an allocation that is dropped and then removed by name is really removed', async () => {
    const node = new TestNode()
    const {agent, told} = await node.boot()
    await agent.setDesired(desired(1, wanted()))
    await node.until(() => told()?.state === 'running')
    await agent.setDesired(desired(2))
    await agent.setDesired(desired(3, wanted({state: 'removed'})))

    await node.until(() => told()?.state === 'removed')
    expect(await node.engine.list()).toEqual([])
  })
})

describe('after kill -9 at any moment (F2)', () => {
  const effects = new Set(['create', 'start', 'stop', 'remove'])

  /** Dies at the n-th moment around a save or an effect: nothing of it goes on. */
  function mortal(moments: number, disk: AgentStateStore) {
    let left = moments
    let isDead = false
    const pass = () => {
      if (!isDead && --left < 0) isDead = true
      return isDead ? forEver() : undefined
    }
    const whenEffect = (name: string) => (isDead ? forEver() : effects.has(name) ? pass() : undefined)
    const store: AgentStateStore = {
      load: () => disk.load(),
      async save(state: AgentState) {
        await pass()
        await disk.save(state)
        await pass()
      },
    }
    return {
      store,
      doubts: {before: whenEffect, after: whenEffect},
      get isDead() {
        return isDead
      },
    }
  }

  const wishes: [string, DesiredInstance, DesiredInstance | undefined, number, string | undefined][] = [
    ['a new instance', wanted(), undefined, 1, 'running'],
    ['a restart', wanted({generation: 2}), wanted(), 2, 'running'],
    ['a stop', wanted({state: 'stopped'}), wanted(), 1, 'exited'],
    ['a removal', wanted({state: 'removed'}), wanted(), 1, undefined],
  ]

  test.each(wishes)(
    '%s is finished by the next life, with one container and no start too many',
    async (_, wish, before, starts, state) => {
      let deaths = 0
      for (let moment = 0; ; moment++) {
        const node = new TestNode()
        let started = 0
        const count = (name: string) => {
          if (name === 'start') started += 1
        }
        const settled = async ({agent}: {agent: {idle(): Promise<void>}}, check: () => boolean) => {
          await node.until(check)
          await agent.idle()
        }
        if (before) {
          const life = await node.boot({doubts: {after: count}})
          await life.agent.setDesired(desired(1, before))
          await settled(life, () => life.told()?.state === 'running')
          await life.agent.stop()
          node.clock.advance(1_000)
        }

        const fate = mortal(moment, node.disk)
        const doubts = {
          before: fate.doubts.before,
          after: (name: string) => {
            count(name)
            return fate.doubts.after(name)
          },
        }
        const doomed = await node.boot({doubts, disk: fate.store})
        const isDone = (told: typeof doomed.told) => () =>
          told()?.state === (state ?? 'removed') && (state !== 'running' || told()?.generation === wish.generation)
        doomed.agent.setDesired(desired(2, wish)).catch(() => {})
        await node.until(() => fate.isDead || isDone(doomed.told)())
        if (!fate.isDead) {
          expect(deaths).toBeGreaterThanOrEqual(4)
          break
        }
        deaths += 1

        const next = await node.boot({doubts: {after: count}})
        await next.agent.setDesired(desired(2, wish))
        await settled(next, isDone(next.told))
        await next.agent.stop()
        const found = await node.engine.list()
        expect(found.map(one => one.state)).toEqual(state ? [state] : [])
        expect(started).toBe(starts)
      }
    },
  )

  test('without its state an agent adopts what runs, and starts nothing anew', async () => {
    const node = new TestNode()
    const {doubts, of} = counting()
    const first = await node.boot({doubts})
    await first.agent.setDesired(desired(1, wanted()))
    await node.until(() => first.told()?.state === 'running')
    await first.agent.idle()

    const second = await node.boot({doubts, disk: stateInMemory()})
    await second.agent.setDesired(desired(2, wanted()))
    await node.until(() => second.told()?.state === 'running')
    await second.agent.idle()
    expect([of('create'), of('start')]).toEqual([1, 1])

    node.clock.advance(1_000)
    await second.agent.setDesired(desired(3, wanted({generation: 2})))
    await node.until(() => second.told()?.generation === 2 && second.told()?.state === 'running')
    expect([of('create'), of('start')]).toEqual([1, 2])
  })
})

test('other limits reach a container that runs once, and are told again to none that has them', async () => {
  const node = new TestNode()
  const {doubts, of} = counting()
  const first = await node.boot({doubts})
  await first.agent.setDesired(desired(1, wanted({cpus: 1, memoryMiB: 512})))
  await node.until(() => first.told()?.state === 'running')

  await first.agent.setDesired(desired(2, wanted({cpus: 2, memoryMiB: 512})))
  await node.until(() => of('setLimits') === 1)
  await first.agent.idle()
  await first.agent.stop()
  const second = await node.boot({doubts})
  await second.agent.setDesired(desired(3, wanted({cpus: 2, memoryMiB: 512})))
  await second.agent.idle()

  expect([of('create'), of('start'), of('setLimits')]).toEqual([1, 1, 1])
})

test('limits that the runtime will not have stand in the warnings, and the instance runs on', async () => {
  const node = new TestNode()
  const before = (name: string) => {
    if (name === 'setLimits') throw new RuntimeError('invalid', '300 MiB of memory are in use.')
  }
  const {agent, told} = await node.boot({doubts: {before}})
  await agent.setDesired(desired(1, wanted({memoryMiB: 512})))
  await node.until(() => told()?.state === 'running')

  await agent.setDesired(desired(2, wanted({memoryMiB: 64})))
  await node.until(() => told()?.warnings.length === 1)

  expect(told()).toMatchObject({
    state: 'running',
    warnings: ['The limits stay as they were: 300 MiB of memory are in use.'],
  })
})
