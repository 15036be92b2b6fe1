import {readFileSync, writeFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {testTitles, titlesOf} from '../support/test-titles.ts'
import {wireRows} from './wire-rows.ts'

const tablePath = 'docs/wire-rows.md'
const titles = testTitles()

test.each(Object.keys(wireRows))('row %s of the wire contract has a test that bears its number', row => {
  expect(titlesOf(row, titles)).not.toEqual([])
})

test('no test bears the number of a row that there is not', () => {
  const named = titles.flatMap(({title}) => title.match(/(?<![\w.-])W\d\.\d(-\d+)?(?!\w)/g) ?? [])
  // A whole section may be named, and a part of a section that has no rows here.
  const isKnown = (row: string) =>
    row in wireRows ||
    row.replace(/-\d+$/, '') in wireRows ||
    Object.keys(wireRows).some(one => one.startsWith(`${row}-`))
  expect(named.filter(row => !isKnown(row))).toEqual([])
  expect(named.length).toBeGreaterThan(50)
})

test(`${tablePath} says which test proves which row (write it anew with UPDATE_TABLES=1)`, () => {
  const table = wireTable()
  if (process.env.UPDATE_TABLES === '1') writeFileSync(tablePath, table)
  expect(readFileSync(tablePath, 'utf8')).toBe(table)
})

function wireTable(): string {
  const lines = Object.entries(wireRows).map(([row, words]) => {
    const files = [...new Set(titlesOf(row, titles).map(({file}) => file))]
    return `| ${row} | ${words} | ${files.map(file => `\`${file}\``).join(', ')} |`
  })
  return [
    '# The five foreign APIs, row by row',
    '',
    'Made from the titles of the tests: a test that proves a row bears its number. `npm test` compares this page with them.',
    '',
    '| row | what | proved in |',
    '|---|---|---|',
    ...lines,
    '',
  ].join('\n')
}
