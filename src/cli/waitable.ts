import {ApiError} from '../client/api-error.ts'
import type {Client} from '../client/client.ts'
import {usageError} from './failure.ts'
import {topicWords} from './words.ts'

/** What `wait` can wait for, and the states that it can name. */
const statesOf = {
  node: ['pending', 'approved', 'joining', 'online', 'stale', 'offline', 'blocked', 'drained', 'deleted'],
  claim: ['pending', 'scheduled', 'running', 'completed', 'failed', 'released'],
  instance: ['creating', 'running', 'stopping', 'exited', 'failed', 'unknown', 'deleted'],
} as const

type Kind = keyof typeof statesOf

export interface WaitObject {
  kind: Kind
  name: string
  state: string
}

export interface Seen {
  kind: Kind
  id: string
  name: string
  state: string
  /** All states that it is in: a node that is online is approved as well. */
  states: string[]
  /** It will change no more. */
  isOver: boolean
}

/** Reads `KIND/NAME` (with the synonyms of topics) and a state of that kind; usage error otherwise. */
export function readObject(text: string, wanted: string): WaitObject {
  const at = text.indexOf('/')
  const word = text.slice(0, Math.max(0, at)).toLowerCase()
  const kind = (topicWords[word] ?? word) as Kind
  const name = text.slice(at + 1)
  if (!Object.hasOwn(statesOf, kind) || name === '') {
    throw usageError(`${text} is not KIND/NAME.`, 'As node/gpu-03, claim/train or instance/train.')
  }
  const state = wanted.toLowerCase()
  const states: readonly string[] = statesOf[kind]
  if (!states.includes(state)) throw usageError(`A ${kind} is never ${wanted}.`, `It is one of ${states.join(', ')}.`)
  return {kind, name, state}
}

/** What it is at now; something that is gone is `deleted`, when that is what is waited for. */
export async function seeObject(client: Client, {kind, name, state}: WaitObject, signal: AbortSignal): Promise<Seen> {
  try {
    return await look[kind](client, name, signal)
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404 && state === 'deleted')) throw error
    return {kind, id: name, name, state: 'deleted', states: ['deleted'], isOver: true}
  }
}

const look: Record<Kind, (client: Client, id: string, signal: AbortSignal) => Promise<Seen>> = {
  node: async (client, id, signal) => {
    const node = await client.call('nodes.get', {id}, {signal})
    const isDrained = node.drain?.state === 'drained'
    const states = [
      node.status,
      ...(node.admission === 'active' ? ['approved'] : []),
      ...(isDrained ? ['drained'] : []),
    ]
    return {kind: 'node', id: node.id, name: node.name, state: node.status, states, isOver: false}
  },
  claim: async (client, id, signal) => {
    const {id: uuid, name, status} = await client.call('claims.get', {id}, {signal})
    const state = status.phase.toLowerCase()
    const isOver = state === 'completed' || state === 'failed' || state === 'released'
    return {kind: 'claim', id: uuid, name, state, states: [state], isOver}
  },
  instance: async (client, id, signal) => {
    const {id: uuid, name, status, desired} = await client.call('instances.get', {id}, {signal})
    const hasEnded = status === 'exited' || status === 'failed'
    const isDeleted = hasEnded && desired === 'deleted'
    const states = [status, ...(isDeleted ? ['deleted'] : [])]
    const isOver = hasEnded && desired !== 'stopped'
    return {kind: 'instance', id: uuid, name, state: isDeleted ? 'deleted' : status, states, isOver}
  },
}
