/** Columns of a terminal; undefined where the stream is none, and nothing is to be wrapped. */
export function widthOf(
  stream: {isTTY?: boolean; columns?: number},
  env: NodeJS.ProcessEnv = process.env,
): number | undefined {
  return stream.isTTY ? Number(env.COLUMNS) || stream.columns || undefined : undefined
}

/**
 * Breaks lines between words, so that none is wider than `width`; what follows is indented by `indent`. A `command` in
 * backquotes stays whole, since somebody copies it: the terminal breaks it where it is too long for any line.
 */
export function wrap(text: string, width: number | undefined, indent = ''): string {
  if (width === undefined) return text
  return text
    .split('\n')
    .map(line => (line.length <= width ? line : wrapLine(line, width, indent)))
    .join('\n')
}

function wrapLine(line: string, width: number, indent: string): string {
  const [margin = ''] = /^ */.exec(line) ?? []
  const words = line.slice(margin.length).match(/(?:`[^`]*`|[^\s`]|`)+/g) ?? []
  const lines: string[] = []
  let current = margin
  for (const word of words) {
    const isFirst = current.trim() === ''
    if (isFirst) current += word
    else if (current.length + 1 + word.length <= width) current += ` ${word}`
    else {
      lines.push(current)
      current = `${margin}${indent}${word}`
    }
  }
  return [...lines, current].join('\n')
}

/** As wrap; where `Next: one  ·  two` is too wide for a line, each stands on its own. */
export function wrapChoices(text: string, width: number | undefined): string {
  const [first = '', ...others] = text.split('  ·  ')
  if (width === undefined || text.length <= width || others.length === 0) return wrap(text, width)
  const [label = ''] = /^\w+: /.exec(first) ?? []
  return [first, ...others.map(one => `${' '.repeat(label.length)}${one}`)].join('\n')
}
