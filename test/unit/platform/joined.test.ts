import {expect, test} from 'vitest'
import {joined} from '../../../src/platform/joined.ts'

test('calls side by side share one piece of work; one that comes while it runs gets the next', async () => {
  let begun = 0
  const ends: ((value: number) => void)[] = []
  const work = joined(() => {
    begun++
    return new Promise<number>(resolve => ends.push(resolve))
  })

  const first = [work(), work()]
  await Promise.resolve()
  expect(begun).toBe(1)
  const late = work()
  await Promise.resolve()
  expect(begun).toBe(2)
  ends[0]?.(1)
  ends[1]?.(2)
  expect(await Promise.all([...first, late])).toEqual([1, 1, 2])
})

test('what fails, fails all who share it, and the next call tries again', async () => {
  let tries = 0
  const work = joined(async () => {
    if (++tries === 1) throw new Error('not now')
    return 'there'
  })
  const both = await Promise.allSettled([work(), work()])
  expect(both.map(({status}) => status)).toEqual(['rejected', 'rejected'])
  expect(await work()).toBe('there')
})
