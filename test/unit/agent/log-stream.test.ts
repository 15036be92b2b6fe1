import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {frameLogs, frameLogsWithBookmarks} from '../../../src/agent/log-stream.ts'
import {type ControlMessage, FrameReader, frameKind} from '../../../src/contract/frames.ts'
import type {LogChunk} from '../../../src/runtime/driver.ts'

type Stream = 'stdout' | 'stderr'
const stamp = (number: number) => `2026-11-21T06:29:33.${String(number).padStart(9, '0')}Z`

/** As Docker's json-file driver writes a line: in entries of 16 KiB, each with a time of its own. */
function entriesOf(line: string, number: number): string {
  const parts: string[] = []
  let rest = line
  for (let part = 0; ; part++) {
    const head = `${stamp(number * 10 + part)} `
    if (rest.length < 16_384 + 1 && (rest.endsWith('\n') || rest.length < 16_384)) return parts.join('') + head + rest
    if (rest.indexOf('\n') < 16_384 && rest.indexOf('\n') !== -1) return parts.join('') + head + rest
    parts.push(head + rest.slice(0, 16_384))
    rest = rest.slice(16_384)
  }
}

async function* chunksOf(pieces: readonly (readonly [Stream, string])[]): AsyncGenerator<LogChunk> {
  for (const [stream, text] of pieces) yield {stream, data: Buffer.from(text, 'latin1')}
}

async function read(frames: AsyncIterable<Uint8Array>) {
  const reader = new FrameReader()
  const text = {stdout: '', stderr: ''}
  const bookmarks: string[] = []
  const sizes: number[] = []
  for await (const piece of frames) {
    for (const {kind, payload} of reader.read(piece)) {
      const content = Buffer.from(payload).toString('latin1')
      sizes.push(payload.length)
      if (kind === frameKind.control) bookmarks.push((JSON.parse(content) as ControlMessage).last ?? '')
      else text[kind === frameKind.stdout ? 'stdout' : 'stderr'] += content
    }
  }
  return {text, bookmarks, sizes}
}

/** Cuts at every given position, so that chunks end in the middle of lines and times. */
function cut(text: string, places: readonly number[]): string[] {
  const at = [...new Set(places.map(place => place % (text.length + 1)))].sort((a, b) => a - b)
  return [...at, text.length].map((end, index) => text.slice(index === 0 ? 0 : at[index - 1], end))
}

const line = fc.oneof(
  fc.string({unit: fc.constantFrom('a', ' ', ':', '2', 'Z', '-', 'T'), maxLength: 60}),
  fc.constantFrom(16_383, 16_384, 16_385, 40_000, 70_000).map(length => 'x'.repeat(length)),
)

describe('a followed log', () => {
  test('gives the same text and ends at the same bookmark however its bytes are cut', async () => {
    const cases = fc.record({
      lines: fc.array(line, {minLength: 1, maxLength: 6}),
      places: fc.array(fc.nat(200_000), {maxLength: 12}),
      endsWithNewline: fc.boolean(),
      keepStamps: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(cases, async ({lines, places, endsWithNewline, keepStamps}) => {
        const texts = lines.map((one, index) => (index < lines.length - 1 || endsWithNewline ? `${one}\n` : `${one}!`))
        const bytes = texts.map((one, index) => entriesOf(one, index + 1)).join('')
        const pieces = cut(bytes, places).map(piece => ['stdout', piece] as const)

        const {text, bookmarks} = await read(frameLogsWithBookmarks(chunksOf(pieces), keepStamps))

        const expected = texts.map((one, index) => (keepStamps ? `${stamp((index + 1) * 10)} ${one}` : one))
        expect(text.stdout === expected.join('')).toBe(true)
        expect(bookmarks.at(-1)).toBe(stamp(lines.length * 10))
        expect(bookmarks).toEqual([...new Set(bookmarks)].sort())
      }),
      {numRuns: 300},
    )
  })

  test('keeps its bookmark at a line that is not whole while the other stream goes on', async () => {
    const {text, bookmarks} = await read(
      frameLogsWithBookmarks(
        chunksOf([
          ['stdout', `${stamp(1)} one\n`],
          ['stderr', `${stamp(2)} hal`],
          ['stdout', `${stamp(3)} three\n`],
          ['stderr', 'f\n'],
        ]),
        false,
      ),
    )

    expect(text).toEqual({stdout: 'one\nthree\n', stderr: 'half\n'})
    expect(bookmarks).toEqual([stamp(1), stamp(2), stamp(3)])
  })

  test('passes a line without end on in pieces, and has no bookmark for it before its end', async () => {
    const pieces = Array.from({length: 40}, () => ['stdout', 'y'.repeat(8_000)] as const)

    const {text, bookmarks, sizes} = await read(
      frameLogsWithBookmarks(chunksOf([['stdout', `${stamp(7)} `], ...pieces]), false),
    )

    expect(text.stdout).toHaveLength(320_000)
    expect(Math.max(...sizes)).toBeLessThan(80_000)
    expect(bookmarks).toEqual(['', stamp(7)].filter(Boolean))
  })

  test('takes output without times as it is', async () => {
    const {text, bookmarks} = await read(frameLogsWithBookmarks(chunksOf([['stdout', '12:30 lunch\n12']]), false))

    expect(text.stdout).toBe('12:30 lunch\n12')
    expect(bookmarks).toEqual([])
  })
})

test('a large chunk becomes several frames, none larger than a reader takes', async () => {
  const {text, sizes} = await read(frameLogs(chunksOf([['stderr', 'z'.repeat(3_000_000)]])))

  expect(text.stderr).toHaveLength(3_000_000)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1024 * 1024)
})
