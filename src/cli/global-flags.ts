import {Flags} from '@oclif/core'
import {durationFlag} from './units.ts'

export const outputFormats = ['table', 'wide', 'json', 'ndjson', 'yaml', 'csv', 'tsv', 'name'] as const
export type OutputFormat = (typeof outputFormats)[number]

const helpGroup = 'GLOBAL'

/** Flags of every command. */
export const globalFlags = {
  server: Flags.string({
    char: 's',
    env: 'GPUCTL_SERVER',
    description: 'address of the server',
    helpGroup,
    helpValue: '<url>',
  }),
  context: Flags.string({
    env: 'GPUCTL_CONTEXT',
    description: 'which of the known servers',
    helpGroup,
    helpValue: '<name>',
  }),
  output: Flags.string({
    char: 'o',
    env: 'GPUCTL_OUTPUT',
    description: `how to print: ${outputFormats.join(', ')}; without a terminal tab-separated`,
    options: [...outputFormats],
    helpValue: '<format>',
    helpGroup,
  }),
  json: Flags.boolean({description: 'as -o json; --json=id,name picks fields', helpGroup}),
  'json-fields': Flags.string({hidden: true}),
  quiet: Flags.boolean({char: 'q', description: 'only ids; no progress, no hints', helpGroup}),
  color: Flags.boolean({default: true, allowNo: true, description: 'colours on a terminal', helpGroup}),
  input: Flags.boolean({default: true, allowNo: true, description: 'ask what is missing', helpGroup}),
  yes: Flags.boolean({char: 'y', env: 'GPUCTL_YES', description: 'say yes where consent is asked', helpGroup}),
  timeout: durationFlag({env: 'GPUCTL_TIMEOUT', description: 'longest wait, as 30s or 10m', helpGroup}),
  'ca-cert': Flags.string({
    env: 'GPUCTL_CA_CERT',
    description: 'trust this authority only',
    helpGroup,
    helpValue: '<file>',
  }),
  verbose: Flags.boolean({char: 'v', description: 'say more', helpGroup}),
  debug: Flags.boolean({env: 'GPUCTL_DEBUG', description: 'show the HTTP calls on stderr, without secrets', helpGroup}),
}

export interface GlobalFlags {
  server?: string
  context?: string
  'ca-cert'?: string
  timeout?: number
  yes?: boolean
  debug?: boolean
}

/** What decides over stdout and stderr; known before the flags are parsed, because their errors are printed so too. */
export interface OutputMode {
  format: OutputFormat | undefined
  fields: string[] | undefined
  quiet: boolean
  colour: boolean
  mayAsk: boolean
}

/** Reads the output mode off an argv in which global flags stand before `--`. */
export function readOutputMode(argv: readonly string[], env: NodeJS.ProcessEnv): OutputMode {
  const end = argv.indexOf('--')
  const words = end < 0 ? argv : argv.slice(0, end)
  const given = [lastValue(words, '--output', '-o'), env.GPUCTL_OUTPUT].find(Boolean)
  const fields = lastValue(words, '--json-fields')?.split(',').filter(Boolean)
  const isJson = fields !== undefined || words.some(word => word === '--json' || word.startsWith('--json='))
  const format = isJson ? 'json' : outputFormats.find(one => one === given)
  return {
    format,
    fields,
    quiet: words.some(word => word === '--quiet' || word === '-q'),
    colour: !words.includes('--no-color'),
    mayAsk: !words.includes('--no-input') && !isMachine(format),
  }
}

function lastValue(words: readonly string[], long: string, short?: string): string | undefined {
  for (let at = words.length - 1; at >= 0; at--) {
    const word = words[at] as string
    if (word === long || word === short) return words[at + 1]
    if (word.startsWith(`${long}=`)) return word.slice(long.length + 1)
    if (short && !word.startsWith('--') && word.startsWith(short)) return word.slice(2).replace(/^=/, '')
  }
  return undefined
}

export function isMachine(format: OutputFormat | undefined): format is 'json' | 'ndjson' | 'yaml' {
  return format === 'json' || format === 'ndjson' || format === 'yaml'
}
