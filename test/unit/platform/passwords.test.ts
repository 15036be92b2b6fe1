import {expect, test} from 'vitest'
import {Passwords, TooBusy} from '../../../src/platform/passwords.ts'

test('a password fits its own hash only', async () => {
  const passwords = new Passwords()
  const hashed = await passwords.hash('password123')

  expect(hashed).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(await passwords.verify(hashed, 'password123')).toBe(true)
  expect(await passwords.verify(hashed, 'password124')).toBe(false)
  expect(await passwords.verify('not a hash', 'password123')).toBe(false)
})

test('T10: an unknown user costs what a known one costs', async () => {
  const passwords = new Passwords()
  const hashed = await passwords.hash('password123')
  const timesMs = {known: [] as number[], unknown: [] as number[]}
  const time = async (work: () => Promise<boolean>) => {
    const beginMs = performance.now()
    expect(await work()).toBe(false)
    return performance.now() - beginMs
  }

  // The fastest of each: a busy machine only adds, and gets more rounds.
  let ratio = 0
  for (let round = 1; round <= 15 || (round <= 60 && (ratio <= 0.7 || ratio >= 1.4)); round++) {
    timesMs.known.push(await time(() => passwords.verify(hashed, 'wrong')))
    timesMs.unknown.push(await time(() => passwords.verifyDummy('wrong')))
    ratio = Math.min(...timesMs.unknown) / Math.min(...timesMs.known)
  }

  expect(ratio).toBeGreaterThan(0.7)
  expect(ratio).toBeLessThan(1.4)
})

test('more than the queue holds are turned away, and the others still served', async () => {
  const passwords = new Passwords({maxRunning: 2, maxWaiting: 3})

  const results = await Promise.allSettled(Array.from({length: 8}, () => passwords.verifyDummy('x')))

  expect(results.map(({status}) => status)).toEqual([...Array(5).fill('fulfilled'), ...Array(3).fill('rejected')])
  expect(results.at(-1)).toMatchObject({reason: expect.any(TooBusy)})
  expect(await passwords.verifyDummy('x')).toBe(false)
})
