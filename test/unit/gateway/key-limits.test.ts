import {expect, test} from 'vitest'
import {KeyLimits} from '../../../src/gateway/proxy/key-limits.ts'

const key = (credentialId: string, limits: {requestsPerMinute: number | null; concurrency: number | null}) =>
  ({id: 'u1', credential: 'token', credentialId, limits}) as const

test('T33: a key begins as many requests a minute as it may; they grow back evenly', () => {
  const limits = new KeyLimits({concurrency: 64})
  const bot = key('bot', {requestsPerMinute: 3, concurrency: null})
  for (const _ of [1, 2, 3]) limits.enter(bot, 1_000)()

  expect(() => limits.enter(bot, 1_000)).toThrow(
    expect.objectContaining({code: 'too_many', details: expect.objectContaining({seconds: 20})}),
  )
  expect(() => limits.enter(bot, 20_500)).toThrow(
    expect.objectContaining({details: expect.objectContaining({seconds: 1})}),
  )
  limits.enter(bot, 21_100)
  expect(() => limits.enter(bot, 21_100)).toThrow()
  for (const _ of [1, 2, 3]) limits.enter(bot, 10 * 60_000)
  expect(() => limits.enter(bot, 10 * 60_000)).toThrow()
})

test('T33: a key has as many requests at once as it may, counted out once', () => {
  const limits = new KeyLimits({concurrency: 64})
  const bot = key('bot', {requestsPerMinute: null, concurrency: 2})
  const leave = limits.enter(bot, 0)
  limits.enter(bot, 0)

  expect(() => limits.enter(bot, 0)).toThrow(expect.objectContaining({code: 'too_many'}))
  leave()
  leave()
  limits.enter(bot, 0)
  expect(() => limits.enter(bot, 0)).toThrow()
  limits.enter(key('other', bot.limits), 0)
})

test('another login of the same user gives no further room', () => {
  const limits = new KeyLimits({concurrency: 1})
  limits.enter({id: 'u1', credential: 'login', credentialId: 'j1'}, 0)

  expect(() => limits.enter({id: 'u1', credential: 'login', credentialId: 'j2'}, 0)).toThrow()
  limits.enter({id: 'u2', credential: 'login', credentialId: 'j3'}, 0)
})
