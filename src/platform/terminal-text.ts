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

export interface SafeOptions {
  /** Keep `\n` and `\t`, as in logs. Otherwise each run of them becomes one space. */
  keepNewlines?: boolean
}

/** The text as it may be shown on a terminal: nothing in it can move the cursor, colour, hide or turn round (T27). */
export function safe(text: string, {keepNewlines = false}: SafeOptions = {}): string {
  const lines = text.replace(/\r\n/g, '\n')
  const oneLine = keepNewlines ? lines : lines.replace(/[\r\n\t\u2028\u2029]+/g, ' ')
  return oneLine.replace(ESCAPE_SEQUENCES, '').replace(UNSAFE, '')
}
