/** Sequences of terminals in both cursor modes. */
const sequences: Record<string, string> = {
  '\x1b[A': 'up',
  '\x1bOA': 'up',
  '\x1b[B': 'down',
  '\x1bOB': 'down',
  '\x1b[C': 'right',
  '\x1bOC': 'right',
  '\x1b[D': 'left',
  '\x1bOD': 'left',
  '\x1b[5~': 'page-up',
  '\x1b[6~': 'page-down',
  '\x1b[H': 'home',
  '\x1b[1~': 'home',
  '\x1bOH': 'home',
  '\x1b[F': 'end',
  '\x1b[4~': 'end',
  '\x1bOF': 'end',
  '\x1b[Z': 'shift-tab',
  '\x1b': 'escape',
  '\t': 'tab',
  '\r': 'enter',
  '\n': 'enter',
  '\x7f': 'backspace',
  '\b': 'backspace',
  '\x03': 'ctrl-c',
  '\x1a': 'ctrl-z',
}

/** What one read of the terminal holds, as names of keys and as letters; what no key of ours sends is left out. */
export function readKeys(input: string): string[] {
  const keys: string[] = []
  for (const [piece] of input.matchAll(/\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|[\s\S]/gu)) {
    const name = sequences[piece]
    if (name) keys.push(name)
    else if (piece >= ' ' && !piece.startsWith('\x1b')) keys.push(piece)
  }
  return keys
}
