import {expect, test} from 'vitest'
import {ManualClock, sleep, systemClock} from '../../../src/platform/clock.ts'

test('a manual clock fires what falls due, in order, each at its own moment', () => {
  const clock = new ManualClock(1_000)
  const fired: [string, number][] = []
  clock.setTimeout(() => fired.push(['late', clock.now()]), 50)
  clock.setTimeout(() => {
    fired.push(['early', clock.now()])
    clock.setTimeout(() => fired.push(['nested', clock.now()]), 10)
  }, 20)
  const cancelled = clock.setTimeout(() => fired.push(['cancelled', clock.now()]), 30)
  cancelled.cancel()

  clock.advance(49)
  expect(fired).toEqual([
    ['early', 1_020],
    ['nested', 1_030],
  ])
  clock.advance(1)
  expect(fired.at(-1)).toEqual(['late', 1_050])
  expect(clock.pending).toBe(0)
})

test('a jump of the wall time moves no timer', () => {
  const clock = new ManualClock()
  let fired = false
  clock.setTimeout(() => {
    fired = true
  }, 1_000)

  clock.jump(3_600_000)

  expect(fired).toBe(false)
  expect(clock.monotonic()).toBe(0)
})

test('a sleep ends with its time, or with the signal', async () => {
  const clock = new ManualClock()
  const abort = new AbortController()
  const slept = sleep(clock, 100)
  const cut = sleep(clock, 100, abort.signal)

  abort.abort(new Error('enough'))
  clock.advance(100)

  await slept
  await expect(cut).rejects.toThrow('enough')
  expect(clock.pending).toBe(0)
})

test('the system clock does not fire at once for more than 25 days', async () => {
  let fired = false
  const timer = systemClock.setTimeout(() => {
    fired = true
  }, 2 ** 40)
  await new Promise<void>(resolve => systemClock.setTimeout(resolve, 5))
  timer.cancel()

  expect(fired).toBe(false)
})
