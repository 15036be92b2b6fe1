import {existsSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import type {PoolType} from '../../../src/contract/storage-protocol.ts'
import {ManualClock} from '../../../src/platform/clock.ts'
import {type ExecResult, exec} from '../../../src/platform/exec.ts'
import {DirectoryDriver} from '../../../src/storage/directory.ts'
import {type StorageDriver, StorageError} from '../../../src/storage/driver.ts'
import {StorageDrivers} from '../../../src/storage/drivers.ts'
import {storageRunner} from '../../../src/storage/run.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'
import {eventually} from '../../support/wait.ts'

/** Real folders, by a driver whose programs can be taken away. */
async function place(type: PoolType = 'directory') {
  const clock = new ManualClock()
  const folders = new DirectoryDriver({root: await temporaryDirectory(), runner: storageRunner(exec)})
  const state = {reason: undefined as string | undefined, asked: 0}
  const driver: StorageDriver = {
    ...{type, facts: folders.facts, plans: folders.plans},
    async unavailable() {
      state.asked++
      return state.reason
    },
    async pools() {
      if (state.reason !== undefined) throw new StorageError('failed', state.reason)
      return folders.pools()
    },
    volumes: pool => folders.volumes(pool),
    snapshots: () => folders.snapshots(),
  }
  return {clock, state, drivers: new StorageDrivers({drivers: [driver], clock})}
}

test('a driver that works is asked once, and again after five minutes', async () => {
  const {clock, state, drivers} = await place()
  await Promise.all([drivers.pools(), drivers.pools()])
  clock.advance(299_000)
  await drivers.pools()
  expect(state.asked).toBe(1)
  clock.advance(1_000)
  await drivers.pools()
  expect(state.asked).toBe(2)
})

test('a driver whose programs are missing is left out, and found within 15 s of when they came', async () => {
  const {clock, state, drivers} = await place()
  state.reason = 'not installed'
  expect(await drivers.working()).toEqual([])
  state.reason = undefined
  expect(await drivers.working()).toEqual([])
  clock.advance(15_000)
  expect(await drivers.working()).toHaveLength(1)
})

test('one that worked and fails is asked why at once: away, it is left out; else its words are heard', async () => {
  const {state, drivers} = await place()
  await drivers.pools()
  state.reason = 'the daemon went away'
  expect(await drivers.pools()).toEqual([])
  expect(state.asked).toBe(2)

  const broken = await place()
  await broken.drivers.pools()
  const [driver] = await broken.drivers.working()
  driver!.pools = async () => {
    throw new StorageError('failed', 'a table that nobody can read')
  }
  await expect(broken.drivers.pools()).rejects.toThrow('a table that nobody can read')
})

test('after a pool of its kind was made a driver is asked again', async () => {
  const {state, drivers} = await place('zfs')
  state.reason = 'no module'
  expect(await drivers.working()).toEqual([])
  state.reason = undefined
  drivers.forget('zfs')
  expect(await drivers.working()).toHaveLength(1)
})

test('what is busy for a moment is tried again soon; what clones hold fast is said at once', async () => {
  const answers: ExecResult[] = []
  const said = (stderr: string) => answers.push({code: stderr === '' ? 0 : 1, stdout: '', stderr})
  const runner = storageRunner(async () => answers.shift() as ExecResult)
  const destroy = () => runner.run({file: 'zfs', args: ['destroy', 'tank/data'], patient: true})

  for (const words of [
    "cannot destroy 'tank/data': dataset is busy",
    "cannot destroy 'tank/data': dataset is busy",
    '',
  ])
    said(words)
  await destroy()
  expect(answers).toEqual([])

  said("cannot destroy 'tank/data': filesystem has dependent clones")
  await expect(destroy()).rejects.toMatchObject({code: 'needed'})
})

test('M24: a cancel waits for the command that runs, and lets no other one begin; a long copy it cuts', async () => {
  const directory = await temporaryDirectory()
  const runner = storageRunner(exec)
  const stop = new AbortController()
  const write = (name: string) => ({
    ...{file: 'sh', args: ['-c', `echo >${directory}/begin-${name}; sleep 0.5; echo >${directory}/${name}`]},
  })
  const has = (name: string) => existsSync(join(directory, name))

  const quick = runner.run(write('quick'), {signal: stop.signal})
  const long = runner.run({...write('long'), longestMs: 60_000}, {signal: stop.signal})
  long.catch(() => {})
  await eventually(() => has('begin-quick') && has('begin-long'))
  stop.abort()

  await quick
  await expect(long).rejects.toThrow('aborted')
  await expect(runner.run(write('next'), {signal: stop.signal})).rejects.toThrow('aborted')
  expect(['quick', 'long', 'begin-next'].map(has)).toEqual([true, false, false])
})

test('a quota below what is used has no room; a volume that only grows does not take it', async () => {
  let stderr = "cannot set property for 'tank/data': size is less than current used or reserved space"
  const runner = storageRunner(async () => ({code: 1, stdout: '', stderr}))
  await expect(runner.run({file: 'zfs', args: ['set']})).rejects.toMatchObject({code: 'full'})

  stderr = 'New size given (2 extents) not larger than existing size (10 extents)'
  await expect(runner.run({file: 'lvextend', args: []})).rejects.toMatchObject({code: 'invalid'})
})

test('one that cannot work makes no pool, says why, and is asked anew each time', async () => {
  const {state, drivers} = await place('lvm')
  state.reason = 'no device-mapper'
  await expect(drivers.able('lvm')).rejects.toMatchObject({code: 'unavailable', message: 'no device-mapper'})
  state.reason = undefined
  await expect(drivers.able('lvm')).resolves.toMatchObject({type: 'lvm'})
})
