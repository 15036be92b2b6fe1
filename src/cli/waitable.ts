import {ApiError} from '../client/api-error.ts'
import type {Client} from '../client/client.ts'
import type {OutputOf} from '../contract/contract.ts'
import type {Event} from '../contract/schemas/server.ts'
import {usageError} from './failure.ts'
import {waitKinds} from './wait-kinds.ts'
import {topicWords} from './words.ts'

/** The state of a thing in words, others that it is in as well, and whether it will change no more. */
interface Reading {
  state: string
  also?: string[]
  isOver?: boolean
}

interface WaitKind<N extends GetOperation> {
  get: N
  /** Kinds of events that tell of its changes; the work on sites, backups and pools is tasks. */
  told: readonly Event['kind'][]
  /** All states that can be named. */
  states: readonly string[]
  read: (found: OutputOf<N>) => Reading
}

type GetOperation =
  | `${'nodes' | 'claims' | 'instances' | 'tasks' | 'sites' | 'backups' | 'runtimes' | 'pools'}.get`
  | `${'images' | 'specs' | 'models'}.get`

const kindOf = <N extends GetOperation>(kind: WaitKind<N>): WaitKind<N> => kind
const gone = 'deleted'

/** What `wait` can wait for. */
const kinds = {
  node: kindOf({
    get: 'nodes.get',
    told: ['node', 'claim'],
    states: ['pending', 'approved', 'joining', 'online', 'stale', 'offline', 'blocked', 'drained', gone],
    read: ({status, admission, drain}) => ({
      state: status,
      also: [...(admission === 'active' ? ['approved'] : []), ...(drain?.state === 'drained' ? ['drained'] : [])],
    }),
  }),
  claim: kindOf({
    get: 'claims.get',
    told: ['claim'],
    states: ['pending', 'scheduled', 'running', 'completed', 'failed', 'released'],
    read: ({status}) => {
      const state = status.phase.toLowerCase()
      return {state, isOver: state === 'completed' || state === 'failed' || state === 'released'}
    },
  }),
  instance: kindOf({
    get: 'instances.get',
    told: ['instance', 'claim'],
    states: ['creating', 'running', 'stopping', 'exited', 'failed', 'unknown', gone],
    read: ({status, desired}) => {
      const hasEnded = status === 'exited' || status === 'failed'
      const isDeleted = hasEnded && desired === 'deleted'
      return {state: isDeleted ? gone : status, also: [status], isOver: hasEnded && desired !== 'stopped'}
    },
  }),
  task: kindOf({
    get: 'tasks.get',
    told: ['task'],
    states: ['pending', 'running', 'completed', 'failed'],
    read: ({status}) => ({state: status, isOver: status === 'completed' || status === 'failed'}),
  }),
  site: kindOf({
    get: 'sites.get',
    told: ['task'],
    states: ['creating', 'active', 'restoring', 'failed', 'deleting', gone],
    read: ({status}) => ({state: status, isOver: status === 'failed'}),
  }),
  backup: kindOf({
    get: 'backups.get',
    told: ['task'],
    states: ['success', 'error', gone],
    read: ({status}) => ({state: status.toLowerCase()}),
  }),
  runtime: kindOf({
    get: 'runtimes.get',
    told: ['runtime'],
    states: ['pending', 'approved', 'registering', 'online', 'offline', gone],
    read: ({status, approval}) => ({state: status, also: approval === 'approved' ? ['approved'] : []}),
  }),
  pool: kindOf({
    get: 'pools.get',
    told: ['task'],
    states: ['creating', 'online', 'degraded', 'faulted', 'missing', 'unknown', 'failed', 'deleting', gone],
    read: ({status}) => ({state: status, isOver: status === 'failed'}),
  }),
  model: kindOf({
    get: 'models.get',
    told: [],
    states: ['ready', 'downloading', 'unavailable', gone],
    read: ({status}) => ({state: status}),
  }),
  image: kindOf({
    get: 'images.get',
    told: ['image'],
    states: ['listed', 'unlisted', gone],
    read: ({listed}) => ({state: listed ? 'listed' : 'unlisted'}),
  }),
  spec: kindOf({
    get: 'specs.get',
    told: ['spec'],
    states: ['listed', 'unlisted', gone],
    read: ({listed}) => ({state: listed ? 'listed' : 'unlisted'}),
  }),
} satisfies Record<(typeof waitKinds)[number], unknown>

type Kind = keyof typeof kinds

/** What is waited for: a state of the kind, or a jq program over the thing whose last word is neither false nor null. */
export type Wish = {state: string} | {jq: string}

export interface WaitObject {
  kind: Kind
  name: string
  wish: Wish
}

export interface Seen {
  kind: Kind
  id: string
  name: string
  state: string
  /** All states that it is in: a node that is online is approved as well. */
  states: string[]
  /** It is as wished. */
  isThere: boolean
  /** It will change no more. */
  isOver: boolean
}

/** Reads `KIND/NAME` (with the synonyms of topics) and a state of that kind, or `jq=EXPR`; usage error otherwise. */
export function readObject(text: string, wanted: string): WaitObject {
  const at = text.indexOf('/')
  const word = text.slice(0, Math.max(0, at)).toLowerCase()
  const kind = (topicWords[word] ?? word) as Kind
  const name = text.slice(at + 1)
  if (!Object.hasOwn(kinds, kind) || name === '') {
    throw usageError(`${text} is not KIND/NAME.`, `As node/gpu-03 or claim/train; kinds are ${waitKinds.join(', ')}.`)
  }
  if (wanted.startsWith('jq=')) return {kind, name, wish: {jq: wanted.slice('jq='.length)}}
  const state = wanted.toLowerCase()
  const {states} = kinds[kind]
  if (!states.includes(state)) {
    throw usageError(
      `${/^[aeiou]/.test(kind) ? 'An' : 'A'} ${kind} is never ${wanted}.`,
      `It is one of ${states.join(', ')}, or jq=EXPR.`,
    )
  }
  return {kind, name, wish: {state}}
}

export function toldBy(kind: Kind): readonly Event['kind'][] {
  return kinds[kind].told
}

/** What it is at now; something that is gone is `deleted`, when that is what is waited for. */
export async function seeObject(client: Client, {kind, name, wish}: WaitObject, signal: AbortSignal): Promise<Seen> {
  const {get, read} = kinds[kind] as unknown as WaitKind<GetOperation>
  const isGoing = 'state' in wish && wish.state === gone
  try {
    const found = await client.call(get, {id: name}, {signal})
    const {state, also = [], isOver = false} = read(found)
    const states = [...new Set([state, ...also])]
    const isThere = 'jq' in wish ? await isTrue(found, wish.jq) : states.includes(wish.state)
    const {id, name: named} = found as {id?: string; name?: string}
    return {kind, id: id ?? name, name: named ?? name, state, states, isThere, isOver: isOver && 'state' in wish}
  } catch (error) {
    if (!isGoing || !(error instanceof ApiError) || error.status !== 404 || error.code === 'not_gpuctl') throw error
    return {kind, id: name, name, state: gone, states: [gone], isThere: true, isOver: true}
  }
}

async function isTrue(found: unknown, program: string): Promise<boolean> {
  const {runJq} = await import('./output/jq.ts')
  const last = (await runJq(found, program)).trimEnd().split('\n').at(-1) ?? ''
  return last !== '' && last !== 'false' && last !== 'null'
}
