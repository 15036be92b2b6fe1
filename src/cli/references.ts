import type {OperationName} from '../contract/routes.ts'
import {usageError} from './failure.ts'
import {topicWords} from './words.ts'

/** Kinds of things that have names without a slash, and the operation that lists them. */
const listOf = {
  node: 'nodes.list',
  claim: 'claims.list',
  instance: 'instances.list',
  image: 'images.list',
  spec: 'specs.list',
  pool: 'pools.list',
  site: 'sites.list',
  runtime: 'runtimes.list',
  user: 'users.list',
  token: 'tokens.list',
  key: 'keys.list',
  backup: 'backups.list',
  session: 'sessions.list',
  task: 'tasks.list',
} as const satisfies Record<string, OperationName>

export type Kind = keyof typeof listOf
/** An image may also be an address with slashes; what a path names is no thing of ours. */
const flagKinds: ReadonlySet<string> = new Set<Kind>(['node', 'claim', 'instance', 'spec', 'pool', 'site'])

export function isKind(word: string): word is Kind {
  return Object.hasOwn(listOf, word)
}

export function listOperation(kind: Kind): (typeof listOf)[Kind] {
  return listOf[kind]
}

/** `node/gpu-03` where a node is asked for is `gpu-03`. Usage error for a thing of another kind. */
function bareName(text: string, kind: Kind): string {
  const at = text.indexOf('/')
  if (at < 1) return text
  const word = text.slice(0, at).toLowerCase()
  const found = Object.hasOwn(topicWords, word) ? (topicWords[word] as string) : word
  if (found === kind) return text.slice(at + 1)
  if (isKind(found)) throw usageError(`${text} is a ${found}; this wants a ${kind}.`)
  return text
}

interface Parsed {
  args: Record<string, unknown>
  argv: unknown[]
  flags: Record<string, unknown>
}

/** Takes the kind off every argument and flag that is called after a kind; of several arguments off all. */
export function takeKindsOff({args, argv, flags}: Parsed, {strict}: {strict: boolean}): void {
  const names = Object.keys(args)
  for (const name of names) {
    const value = args[name]
    if (typeof value !== 'string' || !isKind(name)) continue
    args[name] = bareName(value, name)
    const at = argv.indexOf(value)
    if (at >= 0) argv[at] = args[name]
  }
  const [only] = names
  if (!strict && names.length === 1 && only !== undefined && isKind(only)) {
    for (const [at, value] of argv.entries()) if (typeof value === 'string') argv[at] = bareName(value, only)
  }
  for (const [name, value] of Object.entries(flags)) {
    if (flagKinds.has(name) && typeof value === 'string') flags[name] = bareName(value, name as Kind)
  }
}
