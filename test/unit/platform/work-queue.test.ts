import {expect, test} from 'vitest'
import {ManualClock} from '../../../src/platform/clock.ts'
import {type Requeue, WorkQueue} from '../../../src/platform/work-queue.ts'

/** A queue whose runs end when the test says so. */
function world(concurrency = 2) {
  const clock = new ManualClock()
  const started: string[] = []
  const errors: [string, number][] = []
  const endings = new Map<string, {resolve: (value?: Requeue) => void; reject: (error: Error) => void}>()
  const queue = new WorkQueue<string>({
    reconcile: key => {
      started.push(key)
      return new Promise<Requeue | undefined>((resolve, reject) => endings.set(key, {resolve, reject}))
    },
    concurrency,
    clock,
    retry: {baseMs: 100, maxMs: 1_000},
    onError: (key, _, {retryAfterMs}) => errors.push([key, retryAfterMs]),
  })
  const turn = () => new Promise(resolve => setImmediate(resolve))
  const end = async (key: string, result?: Requeue) => {
    endings.get(key)?.resolve(result)
    await turn()
  }
  const fail = async (key: string) => {
    endings.get(key)?.reject(new Error('no'))
    await turn()
  }
  return {clock, queue, started, errors, end, fail, turn}
}

test('a key that is added twice runs once, and again when it was added while it ran', async () => {
  const {queue, started, end, turn} = world()
  queue.add('a')
  queue.add('a')
  await turn()
  queue.add('a')
  queue.add('a')
  await turn()
  expect(started).toEqual(['a'])

  await end('a')
  expect(started).toEqual(['a', 'a'])
  await end('a')
  await queue.idle()
  expect(started).toEqual(['a', 'a'])
})

test('no more keys run side by side than allowed, first come first served', async () => {
  const {queue, started, end, turn} = world(2)
  for (const key of ['a', 'b', 'c', 'd']) queue.add(key)
  await turn()
  expect(started).toEqual(['a', 'b'])
  expect(queue.depth).toBe(2)

  await end('b')
  expect(started).toEqual(['a', 'b', 'c'])
})

test('"not now" comes back after its time', async () => {
  const {clock, queue, started, end, turn} = world()
  queue.add('a')
  await turn()
  await end('a', {afterMs: 500})

  clock.advance(499)
  await turn()
  expect(started).toEqual(['a'])
  clock.advance(1)
  await turn()
  expect(started).toEqual(['a', 'a'])
})

test('a key that fails comes back later and later, and a success forgives', async () => {
  const {clock, queue, errors, end, fail, turn} = world()
  queue.add('a')
  await turn()
  for (const waitMs of [100, 200, 400, 800, 1_000, 1_000]) {
    await fail('a')
    clock.advance(waitMs)
    await turn()
  }
  expect(errors.map(([, ms]) => ms)).toEqual([100, 200, 400, 800, 1_000, 1_000])

  await end('a')
  queue.add('a')
  await turn()
  await fail('a')
  expect(errors.at(-1)).toEqual(['a', 100])
})

test('of two planned wakes the earlier one counts', async () => {
  const {clock, queue, started, end, turn} = world()
  queue.addAfter('a', 1_000)
  queue.addAfter('a', 100)
  queue.addAfter('a', 500)

  clock.advance(100)
  await turn()
  await end('a')
  clock.advance(1_000)
  await turn()
  expect(started).toEqual(['a'])
})

test('close waits for what runs and takes nothing more', async () => {
  const {clock, queue, started, end, turn} = world(1)
  queue.add('a')
  queue.add('b')
  queue.addAfter('c', 10)
  await turn()
  let closed = false
  const closing = queue.close().then(() => {
    closed = true
  })
  await turn()
  expect(closed).toBe(false)

  await end('a', {afterMs: 1})
  await closing
  queue.add('d')
  clock.advance(1_000)
  await turn()
  expect(started).toEqual(['a'])
  expect(clock.pending).toBe(0)
})
