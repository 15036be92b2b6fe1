import {problem} from './errors.ts'

export interface ShellWish {
  /** Name or path of a shell in the container; where it is missing, bash, else sh. */
  shell?: string
  /** Of the terminal; without it there is none, or it is as the engine made it. */
  size?: {rows: number; columns: number}
  /** Run by that shell; without it the shell is a login shell that reads its input. */
  command?: string
}

/**
 * Takes the first of the wanted shell, bash and sh that is there. One process does it all: the exec of a program that is
 * missing starts with success and ends with 126 (wire.md 3.6), so a second exec would come after the first one's output.
 */
const line = [
  // The engine sizes a terminal after its process began: what the shell starts must not come before that.
  'wanted=$1; size=$2; shift 2; SHELL=/bin/sh',
  '[ -z "$size" ] || stty $size 2>/dev/null',
  'for name in "$wanted" bash sh; do [ -n "$name" ] && path=$(command -v "$name") && SHELL=$path && break; done',
  'export SHELL',
  'if [ $# -gt 0 ]; then exec "$SHELL" -c "$1"; fi',
  'exec "$SHELL" -l',
].join('\n')

/** The one way into a container: what SSH, the CLI and the web terminals run there. Throws input_invalid. */
export function shellCommand({shell = '', size, command}: ShellWish): string[] {
  if (!/^([\w/.+][\w/.+-]*)?$/.test(shell)) {
    throw problem('input_invalid', {
      field: 'shell',
      problem: 'is not a program',
      fix: 'Give a name or path as /bin/zsh.',
    })
  }
  const sized = size && size.rows > 0 && size.columns > 0 ? `rows ${size.rows} cols ${size.columns}` : ''
  return ['/bin/sh', '-c', line, 'gpuctl', shell, sized, ...(command === undefined ? [] : [command])]
}
