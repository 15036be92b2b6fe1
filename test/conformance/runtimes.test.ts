import {randomUUID} from 'node:crypto'
import {afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test} from 'vitest'
import type {ContainerStats, RuntimeEvent} from '../../src/runtime/driver.ts'
import {label} from '../../src/runtime/labels.ts'
import {runtimeDrivers} from '../../src/runtime/registry.ts'
import {collect, containerSpec, readOutput, startContainer, untilExited} from '../support/runtimes.ts'
import {eventually} from '../support/wait.ts'
import {type Workplace, workplaces} from '../support/workplaces.ts'

test('every driver has a workplace in this suite', () => {
  expect(Object.keys(workplaces).sort()).toEqual(Object.keys(runtimeDrivers).sort())
})

describe.each(Object.entries(workplaces))('runtime driver %s', (name, {missing, make}) => {
  let reason: string | undefined
  let workplace: Workplace
  beforeAll(async () => {
    reason = await missing()
    if (!reason) workplace = await make()
  })
  afterAll(() => workplace?.close?.())
  beforeEach(context => {
    if (reason) context.skip(reason)
  })

  const open = async (serverId: string = randomUUID()) => {
    const driver = await workplace.open(serverId)
    onTestFinished(() => driver.close())
    return driver
  }

  test('can work here and says what it is', async () => {
    const driver = await open()

    const info = await driver.info()

    expect(await driver.unavailable()).toBeUndefined()
    await driver.ping()
    expect(driver.name).toBe(name)
    expect(info).toMatchObject({cpus: expect.any(Number), memoryMiB: expect.any(Number)})
    expect(info.cpus).toBeGreaterThan(0)
    expect(info.memoryMiB).toBeGreaterThan(0)
  })

  test('creating twice is creating once', async () => {
    const driver = await open()
    const spec = containerSpec(workplace.image)

    const first = await driver.create(spec)
    onTestFinished(() => driver.remove(first.containerId))
    const second = await driver.create(spec)

    expect(second.containerId).toBe(first.containerId)
    expect(await driver.list()).toHaveLength(1)
    expect(await driver.inspect(first.containerId)).toMatchObject({
      name: spec.name,
      state: 'created',
      startedAt: '',
      exitCode: null,
    })
  })

  test('a name that is held by a container with other labels is refused', async () => {
    const driver = await open()
    const spec = containerSpec(workplace.image)
    const {containerId} = await driver.create(spec)
    onTestFinished(() => driver.remove(containerId))

    const other = driver.create({...spec, labels: {...spec.labels, [label.claim]: 'another'}})

    await expect(other).rejects.toMatchObject({name: 'RuntimeError', code: 'name_taken'})
  })

  test('starting twice is starting once, and the end is seen with its code', async () => {
    const driver = await open()
    const containerId = await startContainer(driver, containerSpec(workplace.image))
    const {startedAt} = (await driver.inspect(containerId))!

    await driver.start(containerId)

    expect(await driver.inspect(containerId)).toMatchObject({
      state: 'running',
      startedAt,
      exitCode: null,
      finishedAt: '',
    })
    expect(Date.parse(startedAt)).toBeGreaterThan(Date.now() - 60_000)
  })

  test.each([0, 3])('exit code %i is kept', async exitCode => {
    const driver = await open()
    const containerId = await startContainer(driver, containerSpec(workplace.image, {exitCode}))

    const ended = await untilExited(driver, containerId)

    expect(ended).toMatchObject({exitCode, oomKilled: false})
    expect(Date.parse(ended.finishedAt)).toBeGreaterThanOrEqual(Date.parse(ended.startedAt))
  })

  test('an exited container starts again', async () => {
    const driver = await open()
    const containerId = await startContainer(driver, containerSpec(workplace.image, {exitCode: 1}))
    const {startedAt} = await untilExited(driver, containerId)

    await driver.start(containerId)

    const again = await eventually(async () => {
      const found = await driver.inspect(containerId)
      return found?.startedAt !== startedAt && found?.state === 'exited' && found
    })
    expect(again).toMatchObject({exitCode: 1})
  })

  test('output has stdout and stderr apart, each in its order', async () => {
    const driver = await open()
    const program = {stdout: ['one', 'two', 'Grüße "quoted" \\ 日本'], stderr: ['warning', 'error']}
    const containerId = await startContainer(driver, containerSpec(workplace.image, program))
    await untilExited(driver, containerId)

    const output = await readOutput(driver, containerId)

    expect(output).toEqual({stdout: 'one\ntwo\nGrüße "quoted" \\ 日本\n', stderr: 'warning\nerror\n'})
    expect(await readOutput(driver, containerId, {stdout: false})).toEqual({stdout: '', stderr: 'warning\nerror\n'})
  })

  test('output can be asked for by tail and from a time on, inclusive, without loss or doubles', async () => {
    const driver = await open()
    const lines = Array.from({length: 20}, (_, index) => `line ${index}`)
    const containerId = await startContainer(driver, containerSpec(workplace.image, {stdout: lines}))
    await untilExited(driver, containerId)

    const stamped = (await readOutput(driver, containerId, {timestamps: true})).stdout.trim().split('\n')
    const times = stamped.map(line => line.split(' ')[0]!)
    const middle = nanoseconds(times[10]!)

    expect(times.every(time => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(time))).toBe(true)
    expect([...times].sort()).toEqual(times)
    expect((await readOutput(driver, containerId, {tail: 3})).stdout).toBe('line 17\nline 18\nline 19\n')
    expect((await readOutput(driver, containerId, {tail: 0})).stdout).toBe('')
    expect((await readOutput(driver, containerId, {sinceNs: middle})).stdout).toBe(text(lines.slice(10)))
    expect((await readOutput(driver, containerId, {sinceNs: middle + 1n})).stdout).toBe(text(lines.slice(11)))
    expect((await readOutput(driver, containerId, {untilNs: middle})).stdout).toBe(text(lines.slice(0, 11)))
  })

  test('following ends when the container does, and has all its output', async () => {
    const driver = await open()
    const spec = containerSpec(workplace.image, {stdout: ['a', 'b'], stderr: ['c'], stays: true})
    const containerId = await startContainer(driver, spec)

    const following = readOutput(driver, containerId, {follow: true})
    await eventually(async () => (await readOutput(driver, containerId)).stderr === 'c\n')
    await driver.stop(containerId, 5)

    expect(await following).toEqual({stdout: 'a\nb\n', stderr: 'c\n'})
  })

  test('a follower that goes away ends the reading, and the container runs on', async () => {
    const driver = await open()
    const containerId = await startContainer(driver, containerSpec(workplace.image, {stdout: ['a'], stays: true}))
    const controller = new AbortController()

    const options = {follow: true, timestamps: false, stdout: true, stderr: true}
    const following = collect(driver.logs(containerId, options, controller.signal))
    controller.abort()

    expect((await following).stderr).toBe('')
    expect(await driver.inspect(containerId)).toMatchObject({state: 'running'})
  })

  test('stop sends TERM, and KILL after the grace; twice is no error', async () => {
    const driver = await open()
    const polite = await startContainer(driver, containerSpec(workplace.image, {stdout: ['up'], stays: true}))
    const rude = await startContainer(
      driver,
      containerSpec(workplace.image, {stdout: ['up'], stays: true, ignoresTerm: true}),
    )
    for (const id of [polite, rude]) await eventually(async () => (await readOutput(driver, id)).stdout === 'up\n')

    const startMs = performance.now()
    await driver.stop(polite, 30)
    const politeMs = performance.now() - startMs
    await driver.stop(rude, 1)
    await driver.stop(rude, 1)

    expect(politeMs).toBeLessThan(10_000)
    expect(await driver.inspect(polite)).toMatchObject({state: 'exited', exitCode: 143})
    expect(await driver.inspect(rude)).toMatchObject({state: 'exited', exitCode: 137})
  })

  test('remove ends a running container; twice is no error', async () => {
    const driver = await open()
    const {containerId} = await driver.create(containerSpec(workplace.image))
    await driver.start(containerId)

    await driver.remove(containerId)
    await driver.remove(containerId)

    expect(await driver.inspect(containerId)).toBeUndefined()
    expect(await driver.list()).toEqual([])
  })

  test('W3.1-18: a named volume outlives its containers, and goes when it is removed; twice is no error', async () => {
    const driver = await open()
    const volume = {name: `gpuctl-${randomUUID()}-data`, path: '/data'}
    const write = {command: ['/bin/sh', '-c', 'echo kept > /data/file'], volumes: [volume]}
    const {containerId, warnings} = await driver.create(containerSpec(workplace.image, {}, write))
    onTestFinished(() => driver.remove(containerId))
    if (!driver.facts.volumes) {
      expect(warnings).toEqual([expect.stringContaining(volume.name)])
      await driver.removeVolume(volume.name)
      return
    }
    await driver.start(containerId)
    await untilExited(driver, containerId)
    await expect(driver.removeVolume(volume.name), 'while a container has it').rejects.toMatchObject({code: 'failed'})
    await driver.remove(containerId)

    if (name === 'docker') {
      const read = containerSpec(workplace.image, {}, {command: ['/bin/sh', '-c', 'cat /data/file'], volumes: [volume]})
      const second = await startContainer(driver, read)
      await untilExited(driver, second)
      expect(await readOutput(driver, second)).toMatchObject({stdout: 'kept\n'})
      await driver.remove(second)
    }
    await driver.removeVolume(volume.name)
    await driver.removeVolume(volume.name)
  })

  test('W3.3-10: a driver that cannot give parts of GPUs refuses them', async () => {
    const driver = await open()
    const share = {memoryMiB: 6144, percent: 25}
    const gpu = {index: 0, uuid: 'GPU-fake-0', vendor: 'fake' as const, devicePaths: [], share}
    const made = driver.create(containerSpec(workplace.image, {}, {gpus: [gpu], hamiCore: '/usr'}))
    if (!driver.facts.splitsGpus) {
      await expect(made).rejects.toMatchObject({code: 'invalid'})
      return
    }
    const {containerId} = await made
    onTestFinished(() => driver.remove(containerId))
    expect(await driver.inspect(containerId)).toMatchObject({state: 'created'})
  })

  test('a new driver, as after a restart of the agent, finds what runs and what has ended meanwhile', async () => {
    const serverId = randomUUID()
    const before = await workplace.open(serverId)
    const staying = await startContainer(
      await open(serverId),
      containerSpec(workplace.image, {stdout: ['still here'], stays: true}),
    )
    const {containerId: ending} = await before.create(containerSpec(workplace.image, {exitCode: 7}))
    await before.start(ending)
    await before.close()

    const driver = await open(serverId)
    onTestFinished(() => driver.remove(ending))

    expect(await untilExited(driver, ending)).toMatchObject({exitCode: 7})
    expect((await driver.list()).map(one => one.containerId).sort()).toEqual([staying, ending].sort())
    expect(await eventually(async () => (await readOutput(driver, staying)).stdout)).toBe('still here\n')
    await driver.stop(staying, 5)
    expect(await driver.inspect(staying)).toMatchObject({state: 'exited'})
  })

  test('containers of another server do not exist for us', async () => {
    const theirs = await open()
    const ours = await open()
    const containerId = await startContainer(theirs, containerSpec(workplace.image))

    await ours.stop(containerId, 0)
    await ours.remove(containerId)

    expect(await ours.list()).toEqual([])
    expect(await ours.inspect(containerId)).toBeUndefined()
    await expect(ours.start(containerId)).rejects.toMatchObject({code: 'no_container'})
    await expect(readOutput(ours, containerId)).rejects.toMatchObject({code: 'no_container'})
    expect(await theirs.inspect(containerId)).toMatchObject({state: 'running'})
  })

  test.each(['0'.repeat(64), '../../etc', 'a/b'])('an unknown container %s is told as such', async id => {
    const driver = await open()
    const exec = {command: ['true'], tty: false, stdin: false}

    expect(await driver.inspect(id)).toBeUndefined()
    await driver.stop(id, 1)
    await driver.remove(id)
    await expect(driver.start(id)).rejects.toMatchObject({name: 'RuntimeError', code: 'no_container'})
    await expect(driver.exec(id, exec)).rejects.toMatchObject({name: 'RuntimeError', code: 'no_container'})
  })

  test('an image that cannot be had is told as such', async () => {
    const driver = await open()
    const {name: image, code} = workplace.missingImage

    await expect(driver.pull(image)).rejects.toMatchObject({name: 'RuntimeError', code})
    await expect(driver.create(containerSpec(image))).rejects.toMatchObject({name: 'RuntimeError', code})
    await driver.pull(workplace.image)
    expect(await driver.list()).toEqual([])
  })

  test('a process in the container takes input, answers and has an exit code', async () => {
    const driver = await open()
    const containerId = await startContainer(driver, containerSpec(workplace.image))

    const env = {GPUCTL_FAKE_EXIT_CODE: '5'}
    const session = await driver.exec(containerId, {
      command: ['/bin/sh', '-c', 'cat; exit 5'],
      tty: false,
      stdin: true,
      env,
    })
    session.stdin.end('to and fro\n')

    expect(await readAll(session.stdout)).toBe('to and fro\n')
    expect(await readAll(session.stderr)).toBe('')
    expect(await session.exited).toBe(5)
  })

  test('a process that is killed is over, and the container is not', async () => {
    const driver = await open()
    const containerId = await startContainer(driver, containerSpec(workplace.image))
    const session = await driver.exec(containerId, {
      command: ['/bin/sh', '-c', 'echo up; sleep 1000'],
      tty: false,
      stdin: true,
    })
    const output = readAll(session.stdout)
    session.stdin.write('x')

    await session.kill()

    expect(await session.exited).toBe(137)
    await output
    expect(await driver.inspect(containerId)).toMatchObject({state: 'running'})
  })

  test('readings are percentages and bytes, and end with the container', async () => {
    const driver = await open()
    const spec = containerSpec(workplace.image, {stays: true}, {memoryMiB: 64, cpus: 0.5})
    const containerId = await startContainer(driver, spec)
    const readings: ContainerStats[] = []

    for await (const reading of driver.stats(containerId, AbortSignal.timeout(20_000))) {
      if (readings.push(reading) === 2) await driver.stop(containerId, 5)
    }

    expect(readings.length).toBeGreaterThanOrEqual(2)
    // One that is taken while the container ends may find it empty.
    const alive = readings.slice(0, 2)
    for (const {at, cpuPercent, cpuPercentRaw, memoryUsageBytes, memoryLimitBytes, memoryPercent, pids} of alive) {
      expect(Math.abs(Date.parse(at) - Date.now())).toBeLessThan(60_000)
      expect(cpuPercent).toBeGreaterThanOrEqual(0)
      expect(cpuPercent).toBeLessThanOrEqual(100)
      expect(cpuPercentRaw).toBeGreaterThanOrEqual(0)
      expect(memoryUsageBytes).toBeGreaterThan(0)
      expect(memoryLimitBytes).toBe(64 * 1024 * 1024)
      expect(memoryPercent).toBeGreaterThan(0)
      expect(pids).toBeGreaterThan(0)
    }
  })

  test('a running container gets other limits, and keeps them over its next start', async () => {
    const driver = await open()
    const {enforcesMemory, enforcesCpus} = driver.facts
    expect(driver.setLimits !== undefined).toBe(enforcesMemory && enforcesCpus)
    if (!driver.setLimits) return
    const limits = {cpus: 0.5, memoryMiB: 64}
    const containerId = await startContainer(driver, containerSpec(workplace.image, {stays: true}, limits))

    await driver.setLimits(containerId, {memoryMiB: 96, cpus: 0.25})
    await driver.stop(containerId, 5)
    await driver.start(containerId)

    for await (const {memoryLimitBytes} of driver.stats(containerId, AbortSignal.timeout(20_000))) {
      expect(memoryLimitBytes).toBe(96 * 1024 * 1024)
      break
    }
    await expect(driver.setLimits('0'.repeat(64), {cpus: 1})).rejects.toMatchObject({code: 'no_container'})
  })

  test('a watcher sees start, end and removal of ours, and nothing of others', async () => {
    const driver = await open()
    const other = await open()
    const controller = new AbortController()
    const events: RuntimeEvent[] = []
    const watching = (async () => {
      for await (const event of driver.watch(controller.signal)) events.push(event)
    })()
    const {containerId: foreign} = await other.create(containerSpec(workplace.image))
    onTestFinished(() => other.remove(foreign))

    const {containerId} = await driver.create(containerSpec(workplace.image))
    await driver.start(containerId)
    await eventually(() => events.some(event => event.kind === 'started'))
    await driver.stop(containerId, 5)
    await eventually(() => events.some(event => event.kind === 'exited'))
    await driver.remove(containerId)
    await eventually(() => events.some(event => event.kind === 'removed'))
    controller.abort()
    await watching

    expect(new Set(events.map(event => event.containerId))).toEqual(new Set([containerId]))
    expect(events.map(event => event.kind).filter(kind => kind !== 'changed')).toEqual(['started', 'exited', 'removed'])
  })
})

function nanoseconds(time: string): bigint {
  return BigInt(Date.parse(`${time.slice(0, 19)}Z`)) * 1_000_000n + BigInt(time.slice(20, 29))
}

function text(lines: string[]): string {
  return lines.map(line => `${line}\n`).join('')
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts).toString()
}
