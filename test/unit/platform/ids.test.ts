import {expect, test} from 'vitest'
import {newId, randomSecret, sha256Hex, shortName} from '../../../src/platform/ids.ts'

test('ids, secrets and short names have their shape and do not repeat', () => {
  const many = (make: () => string) => Array.from({length: 200}, make)

  expect(newId()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(randomSecret(32)).toMatch(/^[\w-]{43}$/)
  expect(new Set(many(() => randomSecret(16))).size).toBe(200)
  for (const name of many(shortName)) expect(name).toMatch(/^[a-hjkmnp-z2-9]{4}$/)
  expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})
