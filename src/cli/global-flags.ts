import {Flags} from '@oclif/core'
import {usageError} from './failure.ts'
import type {Shape} from './output/shape.ts'
import {durationFlag} from './units.ts'

export const outputFormats = ['table', 'wide', 'json', 'ndjson', 'yaml', 'csv', 'tsv', 'name', 'md'] as const
export type OutputFormat = (typeof outputFormats)[number]

const helpGroup = 'GLOBAL'

/** Flags of every command. */
export const globalFlags = {
  server: Flags.string({char: 's', description: 'address of the server', helpGroup, helpValue: '<url>'}),
  context: Flags.string({description: 'which of the known servers', helpGroup, helpValue: '<name>'}),
  output: Flags.string({
    char: 'o',
    description: `how to print: ${outputFormats.join(', ')}, jq=EXPR; without a terminal tab-separated`,
    options: [...outputFormats],
    helpValue: '<format>',
    helpGroup,
  }),
  json: Flags.boolean({description: 'as -o json; --json=id,name picks fields', helpGroup}),
  'json-fields': Flags.string({hidden: true}),
  jq: Flags.string({description: 'a jq program over the JSON', helpValue: '<expr>', helpGroup}),
  quiet: Flags.boolean({char: 'q', description: 'only ids; no progress, no hints', helpGroup}),
  columns: Flags.string({description: 'only these columns, as name,status', helpValue: '<names>', helpGroup}),
  sort: Flags.string({description: 'by these columns, as -gpus,name (- = downwards)', helpValue: '<names>', helpGroup}),
  'no-header': Flags.boolean({description: 'tables and csv without their first line', helpGroup}),
  'no-trunc': Flags.boolean({description: 'cut nothing off to fit the terminal', helpGroup}),
  'no-pager': Flags.boolean({description: 'no pager for what is longer than the screen', helpGroup}),
  color: Flags.option({
    description: 'colours: on a terminal, always, or never',
    options: ['auto', 'always', 'never'] as const,
    helpGroup,
  })(),
  'no-color': Flags.boolean({description: 'as --color=never', helpGroup}),
  'no-input': Flags.boolean({description: 'ask nothing; what is missing is an error', helpGroup}),
  yes: Flags.boolean({char: 'y', description: 'say yes where consent is asked', helpGroup}),
  timeout: durationFlag({description: 'longest wait, as 30s or 10m', helpGroup}),
  'request-timeout': durationFlag({description: 'longest silence of the server in one call (30s)', helpGroup}),
  'ca-cert': Flags.string({description: 'trust this authority only', helpGroup, helpValue: '<file>'}),
  'insecure-skip-tls-verify': Flags.boolean({description: 'trust any certificate: never over a network', helpGroup}),
  verbose: Flags.boolean({char: 'v', description: 'say more', helpGroup}),
  debug: Flags.boolean({description: 'show the HTTP calls on stderr, without secrets', helpGroup}),
  curl: Flags.boolean({description: 'print the call as a curl command instead of making it', helpGroup}),
  explain: Flags.boolean({description: 'say what would be called, and as whom, instead of calling', helpGroup}),
}

const listGroup = 'LIST'

/** Flags of commands that can be looked at again and again. */
export const watchFlags = {
  watch: Flags.boolean({char: 'w', description: 'go on, and show what changes', helpGroup: listGroup}),
}

/** Flags of commands that print a list. */
export const listFlags = {
  ...watchFlags,
  where: Flags.string({
    description: "only rows that are so, as 'memory>=24GB'; may be repeated",
    multiple: true,
    multipleNonGreedy: true,
    helpValue: '<expr>',
    helpGroup: listGroup,
  }),
  selector: Flags.string({
    char: 'l',
    description: 'only those with these labels, as zone=a,!old',
    helpValue: '<labels>',
    helpGroup: listGroup,
  }),
  limit: Flags.integer({description: 'at most so many', min: 1, max: 1000, helpGroup: listGroup}),
}

export interface GlobalFlags {
  server?: string
  context?: string
  'ca-cert'?: string
  'insecure-skip-tls-verify'?: boolean
  timeout?: number
  'request-timeout'?: number
  yes?: boolean
  debug?: boolean
  /** Of commands that change something. */
  'dry-run'?: boolean
}

/** What decides over stdout and stderr; known before the flags are parsed, because their errors are printed so too. */
export interface OutputMode extends Shape {
  format: OutputFormat | undefined
  fields: string[] | undefined
  jq: string | undefined
  columns: string[]
  header: boolean
  cut: boolean
  page: boolean
  quiet: boolean
  colour: 'auto' | 'always' | 'never'
  mayAsk: boolean
  watch: boolean
}

/** The flags of it, as the parser or a look at the argv found them. */
export interface OutputWords {
  output?: string
  json?: boolean
  'json-fields'?: string
  jq?: string
  quiet?: boolean
  columns?: string
  sort?: string
  'no-header'?: boolean
  'no-trunc'?: boolean
  'no-pager'?: boolean
  color?: string
  'no-color'?: boolean
  'no-input'?: boolean
  watch?: boolean
  where?: string[]
  selector?: string
  limit?: number
}

export function modeOf(words: OutputWords): OutputMode {
  const {output, jq, columns, color, selector} = words
  const isJson = words.json || words['json-fields'] !== undefined || jq !== undefined
  const format = isJson && output !== 'ndjson' && output !== 'yaml' ? 'json' : outputFormats.find(one => one === output)
  return {
    format,
    fields: words['json-fields'] === undefined ? undefined : listOf(words['json-fields']),
    jq,
    columns: listOf(columns),
    sort: listOf(words.sort),
    where: words.where ?? [],
    selector: listOf(selector),
    limit: words.limit,
    header: !words['no-header'],
    cut: !words['no-trunc'],
    page: !words['no-pager'],
    quiet: Boolean(words.quiet),
    colour: words['no-color'] ? 'never' : color === 'always' || color === 'never' ? color : 'auto',
    mayAsk: !words['no-input'] && !isMachine(format),
    watch: Boolean(words.watch),
  }
}

/** Refuses what cannot be meant together. */
export function checkMode({format, columns, fields, jq}: OutputMode): void {
  if (columns.length > 0 && isMachine(format)) {
    throw usageError(`--columns is for tables, not for ${format}.`, `Pick fields: --json=${columns.join(',')}.`)
  }
  if (fields?.length === 0) throw usageError('--json= names no field.', 'As --json=id,name.')
  if (jq !== undefined && format !== 'json') throw usageError('--jq prints JSON.', `Leave out -o ${format}.`)
}

function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map(word => word.trim())
    .filter(Boolean)
}

/** Reads the output mode off an argv in which global flags stand before `--`. */
export function readOutputMode(argv: readonly string[], env: NodeJS.ProcessEnv): OutputMode {
  const end = argv.indexOf('--')
  const words = end < 0 ? argv : argv.slice(0, end)
  const [output, program] = splitJq([lastValue(words, '--output', '-o'), env.GPUCTL_OUTPUT].find(Boolean))
  return modeOf({
    output,
    jq: lastValue(words, '--jq') ?? program,
    json: words.some(word => word === '--json' || word.startsWith('--json=')),
    'json-fields': lastValue(words, '--json-fields'),
    quiet: words.some(word => word === '--quiet' || word === '-q'),
    color: lastValue(words, '--color'),
    'no-color': words.includes('--no-color'),
    'no-input': words.includes('--no-input'),
  })
}

/** `jq=EXPR` is JSON through that program. */
export function splitJq(output: string | undefined): [string | undefined, string | undefined] {
  return output?.startsWith('jq=') ? ['json', output.slice(3)] : [output, undefined]
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
