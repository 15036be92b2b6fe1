// The classes leave out every byte that could begin another sequence, so that the match stays linear.
const escapeSequences = new RegExp(
  [
    '(?:\\x1b[\\]PX^_]|[\\x90\\x98\\x9d-\\x9f])[^\\x07\\x1b\\x80-\\x9f]*(?:\\x07|\\x1b\\\\|\\x9c)', // OSC, DCS, SOS, PM, APC
    '(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]', // CSI
    '\\x1b[ -/]*[0-~]', // the two-character ones
  ].join('|'),
  'g',
)
const unsafeClass =
  '[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]|[\\u{e0000}-\\u{e007f}]'
/** C0 but tab and newline, DEL, C1, bidi controls, zero-width and tag characters. */
const unsafe = new RegExp(unsafeClass, 'gu')

/**
 * Text from elsewhere as it may be shown: nothing in it can move the cursor, colour, hide or turn round (T27). Without
 * `keepNewlines` each run of newlines and tabs becomes one space.
 */
export function safe(text: string, {keepNewlines = false}: {keepNewlines?: boolean} = {}): string {
  if (/^[ -~]*$/.test(text)) return text
  const lines = text.replace(/\r\n/g, '\n')
  const oneLine = keepNewlines ? lines : lines.replace(/[\r\n\t\u2028\u2029]+/g, ' ')
  return oneLine.replace(escapeSequences, '').replace(unsafe, '')
}

/** JSON in which what a terminal would act upon is written as \uXXXX: the same value for a parser. */
export function escapeJson(json: string): string {
  return json.replace(unsafe, character =>
    Array.from(
      {length: character.length},
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}
