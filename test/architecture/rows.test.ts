import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from 'vitest'

/** Rows of the threat table and of the failure table that this version answers for; each is proved by a test that bears its number. */
const rows = [
  ...['T1', 'T2', 'T3', 'T4', 'T5', 'T7', 'T9', 'T10', 'T12', 'T18', 'T19', 'T23', 'T27', 'T29', 'T30'],
  ...['F1', 'F2', 'F3', 'F5', 'F11', 'F16', 'F22'],
]

/** Names given to `test` and `describe`, with what stands between the quotes. */
function titles(): string[] {
  const files = (readdirSync('test', {recursive: true}) as string[]).filter(path => path.endsWith('.test.ts'))
  const title = /\b(?:test|describe|it)(?:\.\w+)*(?:\([^)'"`]*\))?\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g
  return files.flatMap(file =>
    [...readFileSync(join('test', file), 'utf8').matchAll(title)].map(match => match[2] ?? ''),
  )
}

const found = titles()

test('the names of the tests are read', () => {
  expect(found).toContain('the names of the tests are read')
  expect(found.length).toBeGreaterThan(100)
})

test.each(rows)('row %s has a test that bears its number', row => {
  expect(found.filter(name => new RegExp(`\\b${row}\\b`).test(name))).not.toEqual([])
})
