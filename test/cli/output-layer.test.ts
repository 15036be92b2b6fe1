import fc from 'fast-check'
import {expect, test} from 'vitest'
import {errorAsJson, errorAsText} from '../../src/cli/error-report.ts'
import {modeOf, outputFormats} from '../../src/cli/global-flags.ts'
import type {Column} from '../../src/cli/output/column.ts'
import {encodeList, encodeObject} from '../../src/cli/output/listing.ts'
import {encodeValue} from '../../src/cli/output/machine.ts'

/** The whole of it, 100,000 texts, is `npm run soak -- texts=100000`. */
const texts = Number(process.env.GPUCTL_OUTPUT_TEXTS ?? 5_000)
const textsInRun = 50

/** What could act on a terminal, or turn the order of letters round. */
const acts =
  // A carriage return ends the lines of csv: looked at by itself.
  /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/u

const anyText = fc.oneof(
  fc.string({unit: 'binary', maxLength: 40}),
  fc.string({unit: 'grapheme', maxLength: 40}),
  fc.string({
    unit: fc.constantFrom(
      ...['\x1b', '[', ']', '0', ';', 'm', '\x07', '\x9b', '\u202e', '\u2066', '\n', '\r', '\t', 'a', '\x90', '\\'],
      ...['|', ',', '"', '\u{e0041}', '\u2028', '漢', '\u0301', '\ud800'],
    ),
    maxLength: 40,
  }),
)

interface Row {
  id: string
  name: string
  note: string
}

const columns: Column<Row>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'note', value: ({note}) => note, shown: ({note}) => `<${note}>`},
  {name: 'id', value: ({id}) => id, wide: true},
]

test.each([...outputFormats, 'quiet'] as const)(
  'T27: as %s, no text from elsewhere brings a control byte or a turn of direction out',
  async format => {
    const mode = modeOf({output: format, quiet: format === 'quiet', color: 'never'})
    await fc.assert(
      fc.asyncProperty(fc.array(anyText, {minLength: textsInRun, maxLength: textsInRun}), async found => {
        const rows = found.map((text): Row => ({id: text, name: text, note: text}))
        const [first] = rows as [Row]
        const lines = rows.map((row): [string, string] => ['Note', row.note])
        const isMachine = format === 'json' || format === 'ndjson' || format === 'yaml'
        const list = isMachine ? await encodeValue(rows, format) : await encodeList(rows, columns, mode)
        const object = isMachine ? await encodeValue(first, format) : await encodeObject(first, lines, mode)
        for (const text of [list ?? '', object]) {
          expect(text).not.toMatch(acts)
          expect(text.replaceAll('\r\n', format === 'csv' ? '\n' : '\r\n')).not.toContain('\r')
        }
        if (format === 'json') expect(JSON.parse(list ?? '')).toEqual(rows)
        if (format === 'tsv') {
          expect((list ?? '').split('\n')).toHaveLength(rows.length + 1)
          for (const line of (list ?? '').trimEnd().split('\n')) expect(line.split('\t').length).toBeLessThanOrEqual(2)
        }
      }),
      {numRuns: Math.ceil(texts / textsInRun)},
    )
  },
  120_000,
)

test('T27: a failure that quotes a text from elsewhere says it without a control byte', () => {
  fc.assert(
    fc.property(anyText, text => {
      const report = {
        code: 'x',
        message: text,
        hint: text,
        details: {text},
        requestId: text,
        exitCode: 1,
        isServersFault: true,
      }
      expect(errorAsText(report)).not.toMatch(acts)
      expect(errorAsJson(report)).not.toMatch(acts)
    }),
    {numRuns: texts},
  )
})
