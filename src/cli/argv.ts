import {usageError} from './failure.ts'
import {suggest} from './suggest.ts'
import {
  type CommandShapes,
  commandWords,
  type FlagShape,
  passThrough,
  shortcuts,
  topicShortcuts,
  topicWords,
  verbGroups,
} from './words.ts'

/** Global flags that take a value; `-o json` may stand before the command as well as behind it. */
const valued = new Set([
  ...['--server', '-s', '--context', '--output', '-o', '--json-fields', '--jq', '--columns', '--sort', '--where'],
  ...['--selector', '-l', '--limit', '--timeout', '--request-timeout', '--ca-cert'],
])
const colourWords = ['auto', 'always', 'never']

/**
 * Brings what was typed into the one form that oclif reads rightly: `[command id, …flags, …arguments]`. Global flags may
 * stand anywhere, topics and verbs have their synonyms, and behind `exec NAME` everything is the other program's. Words that
 * lead to no command come back unchanged when they are a topic (its help follows), else usage error with guesses.
 */
export function normalise(argv: readonly string[], commands: CommandShapes): string[] {
  if (argv[0] === 'help') return helpFor(argv.slice(1), commands)
  const {words, flags, rest} = split(argv, commands)
  const {id, used} = findCommand(words, commands)
  if (id === undefined) {
    const isHelp = flags.some(flag => ['--help', '-h', '--version', '-V'].includes(flag))
    if (words.length === 0 && (isHelp || flags.length === 0)) return flags
    if (words.length === 0) throw usageError('Which command?', 'See what there is with `gpuctl --help`.')
    const topic = topicOf(words, commands)
    if (!isTopic(topic, commands)) throw notFound(words, commands)
    // A script that forgot the verb must not take the help for an answer.
    if (isHelp || flags.length === 0) return [topic.join(':'), '--help']
    throw usageError(
      `What with \`gpuctl ${topic.join(' ')}\`?`,
      `See its commands with \`gpuctl ${topic.join(' ')} --help\`.`,
    )
  }
  const shape = commands.get(id) ?? {}
  const given = [...flags, ...words.slice(used), ...rest]
  return [id, ...splitValues(passThrough.has(id) ? withDashes(given, shape) : given)]
}

export function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return (end < 0 ? words : words.slice(0, end)).some(word => word === '--help' || word === '-h')
}

function helpFor(argv: readonly string[], commands: CommandShapes): string[] {
  const words = argv.filter(word => !word.startsWith('-'))
  if (argv.includes('--man')) return ['help', '--man']
  const {id} = findCommand(words, commands)
  if (id) return [id, '--help']
  if (words.length === 0) return ['--help']
  const topic = topicOf(words, commands)
  if (!isTopic(topic, commands)) throw notFound(words, commands)
  return [topic.join(':'), '--help']
}

/** Takes words and leading flags apart until the words name a command; what follows is left alone. */
function split(argv: readonly string[], commands: CommandShapes) {
  const words: string[] = []
  const flags: string[] = []
  let at = 0
  for (; at < argv.length; at++) {
    const token = argv[at] as string
    if (token === '--') break
    if (token.startsWith('-') && token !== '-') {
      flags.push(token)
      const next = argv[at + 1]
      if (next !== undefined && wantsNext(token, next)) flags.push(argv[++at] as string)
      continue
    }
    words.push(token)
    const {id} = findCommand(words, commands)
    if (id && !leadsFurther(id, argv[at + 1], commands)) {
      at++
      break
    }
    if (words.length === 3) {
      at++
      break
    }
  }
  return {words, flags, rest: argv.slice(at)}
}

function wantsNext(token: string, next: string): boolean {
  return valued.has(token) || (token === '--color' && colourWords.includes(next))
}

/** `node join-token` could be a command and a topic; the longer way wins when the next word goes on. */
function leadsFurther(id: string, next: string | undefined, commands: CommandShapes): boolean {
  return next !== undefined && findCommand([...id.split(':'), next], commands).used > id.split(':').length
}

/** The command that leading words name, and how many of them do. */
export function findCommand(words: readonly string[], commands: CommandShapes): {id?: string; used: number} {
  const expanded = expandShortcut(words, commands)
  const added = expanded.length - words.length
  for (let length = Math.min(expanded.length, 3); length > 0; length--) {
    const way = expanded.slice(0, length)
    const id = resolve(way, commands) ?? shorterWay(way, expanded[length], commands)
    if (id) return {id, used: length - added}
  }
  return {used: 0}
}

/** A topic alone is no command: its help follows. */
function shorterWay(words: readonly string[], next: string | undefined, commands: CommandShapes): string | undefined {
  const way = canonical(words)
  const id = commandWords[way.join(':')]
  const isMeant = id !== undefined && commands.has(id) && (next !== undefined || !isTopic(way, commands))
  return isMeant ? id : undefined
}

function expandShortcut(words: readonly string[], commands: CommandShapes): readonly string[] {
  const [first = '', ...rest] = words
  const way = [shortcuts, topicShortcuts].find(ways => Object.hasOwn(ways, first))?.[first]
  return way && !commands.has(first) ? [...way, ...rest] : words
}

function topicOf(words: readonly string[], commands: CommandShapes): string[] {
  return canonical(expandShortcut(words, commands))
}

/** The literal command wins over every synonym, so that no synonym hides one. */
function resolve(words: readonly string[], commands: CommandShapes): string | undefined {
  const literal = words.join(':')
  if (commands.has(literal)) return literal
  const topic = canonical(words.slice(0, -1))
  const verb = words.at(-1) ?? ''
  const group = verbGroups.find(one => one.includes(verb)) ?? []
  for (const candidate of [verb, topicWords[verb] ?? verb, ...(topic.length > 0 ? group : [])]) {
    const id = [...topic, candidate].join(':')
    if (commands.has(id)) return id
  }
  return undefined
}

function canonical(words: readonly string[]): string[] {
  return words.map(word => (Object.hasOwn(topicWords, word) ? (topicWords[word] as string) : word))
}

function isTopic(words: readonly string[], commands: CommandShapes): boolean {
  return [...commands.keys()].some(id => id.startsWith(`${words.join(':')}:`))
}

/** Puts `--` behind the first argument, unless it stands there: `exec NAME ls -la` must not parse `-la`. */
function withDashes(given: readonly string[], shape: Readonly<Record<string, FlagShape>>): string[] {
  for (let at = 0; at < given.length; at++) {
    const token = given[at] as string
    if (token === '--') return [...given]
    if (token.startsWith('-') && token !== '-') {
      if (!token.includes('=') && takesValue(token, shape)) at++
    } else if (given[at + 1] === '--') return [...given]
    else return [...given.slice(0, at + 1), '--', ...given.slice(at + 1)]
  }
  return [...given]
}

function takesValue(token: string, shape: Readonly<Record<string, FlagShape>>): boolean {
  const flag = token.startsWith('--')
    ? shape[token.slice(2)]
    : token.length === 2
      ? Object.values(shape).find(({char}) => char === token[1])
      : undefined
  return flag?.type === 'option'
}

/**
 * oclif knows no flag with an optional value: `--json=a,b` travels as `--json-fields=a,b`, a `--color` without one as
 * `--color=always`; and `-o jq=EXPR` as `--jq=EXPR`.
 */
function splitValues(given: readonly string[]): string[] {
  const end = given.indexOf('--')
  const own = end < 0 ? given : given.slice(0, end)
  const others = given.slice(own.length)
  const found: string[] = []
  for (let at = 0; at < own.length; at++) {
    const token = own[at] as string
    const next = own[at + 1] ?? ''
    if ((token === '-o' || token === '--output') && next.startsWith('jq=')) {
      found.push(`--${next}`)
      at++
    } else if (/^(-o=?|--output=)jq=/.test(token)) found.push(`--${token.slice(token.indexOf('jq='))}`)
    else if (token.startsWith('--json=')) found.push(token.replace('--json=', '--json-fields='))
    else if (token === '--color' && !colourWords.includes(next)) found.push('--color=always')
    else found.push(token)
  }
  return [...found, ...others]
}

function notFound(words: readonly string[], commands: CommandShapes) {
  const typed = words.join(' ')
  const topic = topicOf(words, commands)[0] ?? ''
  const guesses = suggest(words, commands)
  const hint =
    guesses.length > 0
      ? `Did you mean ${guesses.map(id => `\`gpuctl ${id.replaceAll(':', ' ')}\``).join(' or ')}?`
      : `See what there is with \`gpuctl ${isTopic([topic], commands) ? `${topic} ` : ''}--help\`.`
  return usageError(`There is no command \`gpuctl ${typed}\`.`, hint)
}
