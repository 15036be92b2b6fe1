import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import type {Column} from '../../src/cli/output/column.ts'
import {encodeCsv, encodeTsv} from '../../src/cli/output/delimited.ts'
import {encodeLine, encodeValue, pickFields} from '../../src/cli/output/machine.ts'
import {escapeJson, safe} from '../../src/cli/output/safe.ts'
import {encodeTable, narrow} from '../../src/cli/output/table.ts'
import {widthOf, wrap, wrapChoices} from '../../src/cli/output/wrap.ts'

const dangerous = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/
const anyText = fc.oneof(
  fc.string({unit: 'binary'}),
  fc.string({
    unit: fc.constantFrom('\x1b', '[', ']', '0', ';', 'm', '\x07', '\x9b', '\u202e', '\n', '\t', 'a', '\x90', '\\'),
  }),
)

interface Row {
  id: string
  name: string
  note: string | null
}
const columns: Column<Row>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'note', value: ({note}) => note, shown: ({note}) => `<${note}>`},
  {name: 'id', value: ({id}) => id, wide: true},
]
const evil = 'a\x1b[31mb\x1b]0;title\x07c\u202ed\te\nf'

describe('text from elsewhere', () => {
  test('whatever it is, nothing of it can act on a terminal', () => {
    fc.assert(
      fc.property(anyText, text => {
        expect(safe(text)).not.toMatch(dangerous)
        expect(safe(text)).not.toMatch(/[\n\t]/)
        expect(safe(text, {keepNewlines: true})).not.toMatch(dangerous)
      }),
      {numRuns: 5_000},
    )
  })

  test('as JSON it is the same value, without a byte that acts', () => {
    fc.assert(
      fc.property(anyText, text => {
        const json = escapeJson(JSON.stringify({text}))
        expect(json).not.toMatch(dangerous)
        expect(JSON.parse(json)).toEqual({text})
      }),
      {numRuns: 2_000},
    )
  })

  test('an escape sequence goes as a whole', () => {
    expect(safe(evil)).toBe('abcd e f')
  })
})

describe('words on a terminal', () => {
  test('are broken between words, and a command in backquotes never', () => {
    const text = 'Try: Check the address (`gpuctl context list`) and that the server runs.'

    expect(wrap(text, 40, '     ')).toBe(
      'Try: Check the address\n     (`gpuctl context list`) and that\n     the server runs.',
    )
    expect(wrap('`gpuctl a very long command` then', 12)).toBe('`gpuctl a very long command`\nthen')
    expect(wrap('  a b\nno longer than it may be', 24)).toBe('  a b\nno longer than it may be')
    expect(wrap(text, undefined)).toBe(text)
  })

  test('commands to go on with stand in one line, or each in its own', () => {
    expect(wrapChoices('Next: one x  ·  two x', 21)).toBe('Next: one x  ·  two x')
    expect(wrapChoices('Next: one x  ·  two x', 20)).toBe('Next: one x\n      two x')
  })

  test('are as wide as the terminal, which a pipe has not', () => {
    expect(widthOf({isTTY: true, columns: 80}, {})).toBe(80)
    expect(widthOf({isTTY: true, columns: 80}, {COLUMNS: '40'})).toBe(40)
    expect(widthOf({columns: 80}, {COLUMNS: '40'})).toBeUndefined()
  })
})

describe('formats', () => {
  const rows: Row[] = [{id: '1', name: evil, note: null}]

  test('tab-separated: no header, one line a row, raw values', () => {
    expect(encodeTsv(rows, columns)).toBe('abcd e f\t\t1\n')
  })

  test('csv: header, quotes where needed, safe', () => {
    expect(encodeCsv([{id: '1', name: 'a,"b"', note: 'x\ny'}], columns)).toBe('name,note,id\r\n"a,""b""","x\ny",1\r\n')
  })

  test.each(['json', 'yaml', 'ndjson'] as const)('%s holds every field and no control character', async format => {
    const text = await encodeValue(rows, format)
    expect(text).not.toMatch(dangerous)
    expect(text).toContain('note')
    if (format !== 'yaml') expect([JSON.parse(text)].flat()).toEqual(rows)
  })

  test('fields are picked in the order asked; an unknown one is a usage error', () => {
    expect(encodeLine(pickFields(rows, ['note', 'id']))).toBe('[{"note":null,"id":"1"}]\n')
    expect(() => pickFields(rows, ['nope'])).toThrow(/no field nope/)
  })

  test.each([1, 500])('a table of %i rows fits the terminal, without colour when there is none', async count => {
    const long = Array.from({length: count}, () => ({id: '1', name: 'n'.repeat(300), note: '漢字'.repeat(30)}))
    const text = await encodeTable(long, columns, {width: 60, colour: false})
    const lines = text.trimEnd().split('\n')
    expect(lines).toHaveLength(count + 1)
    expect(lines[0]).toMatch(/^NAME +NOTE +ID$/)
    expect(lines[1]).toContain('…')
    expect(text).not.toContain('\x1b')
    const {default: stringWidth} = await import('string-width')
    expect(Math.max(...lines.map(line => stringWidth(line)))).toBeLessThanOrEqual(60)
  })

  test('the head of a coloured table says only its name', async () => {
    const text = await encodeTable([{id: '1', name: 'n', note: ''}], columns, {colour: true})
    expect(text.split('\n')[0]).toBe('\x1b[2mNAME\x1b[22m  \x1b[2mNOTE\x1b[22m  \x1b[2mID\x1b[22m')
  })

  test('the widest column gives way first', () => {
    expect(narrow([10, 50, 20], 60)).toEqual([10, 26, 20])
    expect(narrow([10, 50, 20], undefined)).toEqual([10, 50, 20])
  })
})
