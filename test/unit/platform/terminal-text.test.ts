import fc from 'fast-check'
import {expect, test} from 'vitest'
import {safe} from '../../../src/platform/terminal-text.ts'

const FORBIDDEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/

/** Any text, and text made of what terminals obey. */
const hostile = fc.oneof(
  fc.string({unit: 'binary', maxLength: 40}),
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '\x1b',
          '\x9b',
          '\x9d',
          '\x90',
          '\x07',
          '\x1b\\',
          '[',
          ']',
          '2J',
          '31m',
          '0;t',
          'P',
          '\r',
          '\n',
        ),
        fc.constantFrom('\u202e', '\u2066', '\u200d', '\u{e0041}', '漢', 'é', 'a', '\t', '\ud800'),
      ),
      {maxLength: 30},
    )
    .map(parts => parts.join('')),
)

test('T27: no text can command the terminal', () => {
  fc.assert(
    fc.property(hostile, fc.boolean(), (text, keepNewlines) => {
      const shown = safe(text, {keepNewlines})
      expect(shown).not.toMatch(FORBIDDEN)
      if (!keepNewlines) expect(shown).not.toMatch(/[\n\t]/)
      expect(safe(shown, {keepNewlines})).toBe(shown)
    }),
    {numRuns: 10_000},
  )
})

test.each([
  ['colour', '\x1b[1;31mred\x1b[0m', 'red'],
  ['title', 'a\x1b]0;pwned\x07b', 'ab'],
  ['link', '\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\', 'text'],
  ['device control', 'a\x1bPq#0\x1b\\b', 'ab'],
  ['C1 CSI', 'a\x9b2Jb', 'ab'],
  ['carriage return', 'good\rbad', 'good bad'],
  ['bidi', 'abc\u202egnp.exe', 'abcgnp.exe'],
  ['an open sequence hides nothing', 'a\x1b]0;rest stays', 'a0;rest stays'],
])('T27: %s', (_, text, shown) => {
  expect(safe(text)).toBe(shown)
})

test('logs keep their lines and tabs', () => {
  expect(safe('a\tb\r\nc\x1b[K\nd', {keepNewlines: true})).toBe('a\tb\nc\nd')
})

test('a megabyte of openings takes no time', () => {
  const beginMs = performance.now()
  for (const opening of ['\x1b]', '\x9d', '\x1b[', '\x1b ', '\x1b[1;']) safe(opening.repeat(500_000))

  expect(performance.now() - beginMs).toBeLessThan(3_000)
})
