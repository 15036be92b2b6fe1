import fc from 'fast-check'
import {expect, test} from 'vitest'
import {ManualClock} from '../../../src/platform/clock.ts'
import {backoffMs, retry} from '../../../src/platform/retry.ts'

test('the back-off lies between nothing and the doubled base, and never beyond the top', () => {
  const draw = fc.record({attempt: fc.nat(5_000), random: fc.double({min: 0, max: 1, maxExcluded: true, noNaN: true})})
  fc.assert(
    fc.property(draw, ({attempt, random}) => {
      const ms = backoffMs(attempt, {random: () => random})
      expect(ms).toBeGreaterThanOrEqual(0)
      expect(ms).toBeLessThanOrEqual(Math.min(7_000, 200 * 2 ** attempt))
    }),
  )
})

/** Lets time pass whenever somebody waits for it. */
async function live<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let done = false
  work.then(
    () => (done = true),
    () => (done = true),
  )
  while (!done) {
    await new Promise(resolve => setImmediate(resolve))
    clock.advance(100)
  }
  return work
}

test('repeats until it succeeds', async () => {
  const clock = new ManualClock()
  const work = retry(
    async attempt => {
      if (attempt < 3) throw new Error('not yet')
      return attempt
    },
    {budgetMs: 60_000, clock, random: () => 0.5},
  )

  expect(await live(clock, work)).toBe(3)
})

test('gives up with the last failure when the budget is spent or the failure is final', async () => {
  const clock = new ManualClock()
  let attempts = 0
  const fails = async (attempt: number) => {
    attempts++
    throw new Error(`failure ${attempt}`)
  }

  const spent = retry(fails, {budgetMs: 2_000, clock, random: () => 0.999})
  await expect(live(clock, spent)).rejects.toThrow('failure 3')
  attempts = 0
  const final = retry(fails, {budgetMs: 2_000, clock, isRetryable: () => false})
  await expect(live(clock, final)).rejects.toThrow('failure 0')
  expect(attempts).toBe(1)
})

test('an abort ends the wait', async () => {
  const abort = new AbortController()
  const work = retry(() => Promise.reject(new Error('no')), {
    budgetMs: 60_000,
    clock: new ManualClock(),
    signal: abort.signal,
    random: () => 0.5,
  })
  setImmediate(() => abort.abort(new Error('stopped')))

  await expect(work).rejects.toThrow('stopped')
})
