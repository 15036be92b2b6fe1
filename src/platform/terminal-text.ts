import stringWidth from 'string-width'

// The classes leave out every byte that could begin another sequence, so that the match stays linear.
const ESCAPE_SEQUENCES = new RegExp(
  [
    '(?:\\x1b[\\]PX^_]|[\\x90\\x98\\x9d-\\x9f])[^\\x07\\x1b\\x80-\\x9f]*(?:\\x07|\\x1b\\\\|\\x9c)', // OSC, DCS, SOS, PM, APC
    '(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]', // CSI
    '\\x1b[ -/]*[0-~]', // the two-character ones
  ].join('|'),
  'g',
)
/** C0 but tab and newline, DEL, C1, bidi controls, zero-width and tag characters. */
const UNSAFE =
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu
/** No letter needs more marks than this; beyond it a "letter" is an attack on the line above. */
const MAX_CHARACTER_UNITS = 16

export interface SafeOptions {
  /** Keep `\n` and `\t`, as in logs. Otherwise each run of them becomes one space. */
  keepNewlines?: boolean
  /** Cells of the terminal; a longer line is cut and ends with `…`. */
  maxWidth?: number
}

/** The text as it may be shown on a terminal: nothing in it can move the cursor, colour, hide or turn round (T27). */
export function safe(text: string, {keepNewlines = false, maxWidth}: SafeOptions = {}): string {
  const lines = text.replace(/\r\n/g, '\n')
  const oneLine = keepNewlines ? lines : lines.replace(/[\r\n\t\u2028\u2029]+/g, ' ')
  const clean = oneLine.replace(ESCAPE_SEQUENCES, '').replace(UNSAFE, '')
  if (maxWidth === undefined) return clean
  return clean
    .split('\n')
    .map(line => cut(line, maxWidth))
    .join('\n')
}

function cut(line: string, maxWidth: number): string {
  if (line.length <= maxWidth && /^[ -~]*$/.test(line)) return line
  let width = 0
  let shown = ''
  let room = '' // what still fits when the ellipsis has to
  for (const {segment} of new Intl.Segmenter(undefined, {granularity: 'grapheme'}).segment(line)) {
    const character = segment.slice(0, MAX_CHARACTER_UNITS)
    width += character === '\t' ? 8 : stringWidth(character)
    if (width > maxWidth) return maxWidth < 1 ? '' : `${room}…`
    shown += character
    if (width < maxWidth) room = shown
  }
  return shown
}
