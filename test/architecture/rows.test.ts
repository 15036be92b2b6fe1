import {expect, test} from 'vitest'
import {testTitles, titlesOf} from '../support/test-titles.ts'

/** Rows of the threat table and of the failure table that this version answers for; each is proved by a test that bears its number. */
const rows = [
  ...['T1', 'T2', 'T3', 'T4', 'T5', 'T6', 'T7', 'T8', 'T9', 'T10', 'T11', 'T12', 'T13', 'T14', 'T15', 'T17', 'T18'],
  ...['T19', 'T21', 'T22', 'T23', 'T24', 'T25', 'T26', 'T27', 'T28', 'T29', 'T30', 'T33'],
  ...['F1', 'F2', 'F3', 'F5', 'F11', 'F16', 'F20', 'F22', 'F23', 'F26'],
]

const found = testTitles()

test('the names of the tests are read', () => {
  expect(found.map(({title}) => title)).toContain('the names of the tests are read')
  expect(found.length).toBeGreaterThan(100)
})

test.each(rows)('row %s has a test that bears its number', row => {
  expect(titlesOf(row, found)).not.toEqual([])
})
