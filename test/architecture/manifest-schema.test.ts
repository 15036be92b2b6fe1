import {readFileSync, writeFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {manifestSchema} from '../../src/contract/schemas/manifests.ts'

const file = new URL('../../src/cli/manifests/schema.json', import.meta.url)

test('the schema of what apply reads is made from the contract: else UPDATE_SCHEMA=1', () => {
  const text = `${JSON.stringify(manifestSchema, undefined, 2)}\n`
  if (process.env.UPDATE_SCHEMA) writeFileSync(file, text)
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(text))
})
