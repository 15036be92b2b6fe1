import {expect, test} from 'vitest'
import {testTitles, titlesOf} from '../support/test-titles.ts'

/** Rows of the threat table and of the failure table that this version answers for; each is proved by a test that bears its number. */
const rows = [
  ...['T1', 'T2', 'T3', 'T4', 'T5', 'T7', 'T9', 'T10', 'T12', 'T18', 'T19', 'T23', 'T27', 'T29', 'T30'],
  ...['F1', 'F2', 'F3', 'F5', 'F11', 'F16', 'F22'],
]

const found = testTitles()

test('the names of the tests are read', () => {
  expect(found.map(({title}) => title)).toContain('the names of the tests are read')
  expect(found.length).toBeGreaterThan(100)
})

test.each(rows)('row %s has a test that bears its number', row => {
  expect(titlesOf(row, found)).not.toEqual([])
})
