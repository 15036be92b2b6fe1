import fc from 'fast-check'
import {expect, test} from 'vitest'
import {isProblem} from '../../../src/domain/errors.ts'
import {parseJson} from '../../../src/server/json.ts'

const member = fc.string().filter(text => text !== '__proto__' && !text.includes('\0'))
const {value: sane} = fc.letrec(again => ({
  value: fc.oneof(
    {maxDepth: 6},
    member,
    fc.boolean(),
    fc.constant(null),
    fc.maxSafeInteger(),
    fc.double({min: -1e9, max: 1e9, noNaN: true}),
    fc.array(again('value'), {maxLength: 5}),
    fc.dictionary(member, again('value'), {maxKeys: 5, noNullPrototype: true}),
  ),
}))

test('any sane value comes back as JSON.parse reads it, however it is laid out', () => {
  fc.assert(
    fc.property(sane, fc.integer({min: 0, max: 4}), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text))
    }),
    {numRuns: 500},
  )
})

test('any bytes are a value or a named failure, never a crash', () => {
  const noise = fc.oneof(
    fc.uint8Array({maxLength: 200}),
    fc.string({unit: fc.constantFrom(...'{}[]":,\\u01e-+. ntfa'), maxLength: 60}).map(text => Buffer.from(text)),
  )
  fc.assert(
    fc.property(noise, bytes => {
      try {
        parseJson(bytes)
      } catch (error) {
        expect(isProblem(error)).toBe(true)
      }
    }),
    {numRuns: 2000},
  )
})
