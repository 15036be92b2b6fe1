import {randomBytes} from 'node:crypto'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {codeAlphabet, distance, drawCode, readCode} from '../../../src/domain/registration-code.ts'

describe('registration codes', () => {
  test('256 live codes all differ in two places or more', () => {
    const live: string[] = []
    while (live.length < 256) live.push(drawCode(live, randomBytes))

    for (const [at, one] of live.entries()) {
      expect(one).toMatch(/^[A-HJKMNP-Z2-9]{5}$/)
      for (const other of live.slice(at + 1)) expect(distance(one, other)).toBeGreaterThanOrEqual(2)
    }
  })

  test('a draw that comes too near a live code is thrown away', () => {
    const draws = [Buffer.alloc(8, 0), Buffer.from([0, 0, 0, 0, 1, 1, 1, 1]), Buffer.alloc(8, 2)]

    expect(drawCode(['AAAAA'], () => draws.shift()!)).toBe('CCCCC')
  })

  test('case, spaces and dashes do not matter', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...codeAlphabet), {minLength: 5, maxLength: 5}), letters => {
        const code = letters.join('')
        expect(readCode(` ${code.slice(0, 2).toLowerCase()}-${code.slice(2)} `)).toBe(code)
      }),
    )
  })

  test.each(['XK7M0', 'XK7M1', 'xk7mi', 'XK7ML', 'XK7MO'])(
    '%s is refused because of a letter that never occurs',
    text => {
      expect(() => readCode(text)).toThrow(/0, 1, I, L and O never occur/)
    },
  )

  test.each(['', 'XK7M', 'XK7M22', 'XK7M!'])('%j is no code', text => {
    expect(() => readCode(text)).toThrow(expect.objectContaining({code: 'code_malformed'}))
  })
})
