import type {JoinReply, JoinRequest, JoinStatus} from '../contract/schemas/nodes.ts'
import {type Clock, sleep} from '../platform/clock.ts'
import {backoffMs} from '../platform/retry.ts'
import type {Identity} from './identity.ts'

/** How the agent calls the server before it has a key. Resolves with status and body; rejects when nobody answers. */
export type JoinTransport = (
  method: 'GET' | 'POST',
  path: string,
  options: {body?: unknown; headers?: Record<string, string>},
) => Promise<{status: number; body: unknown}>

export interface JoinProgress {
  code(code: string, expiresAt: string): void
  waiting(reason: string): void
}

/** Where a request that waits is kept, so that an agent that is started again goes on with the code it has shown. */
export interface KeptRequest {
  load(): Promise<JoinReply | undefined>
  save(reply: JoinReply): Promise<void>
}

/** Between two requests: a code that was refused is not asked for anew at once. */
const askAgainMs = 5_000
/** Bounds of the pause between two polls, whatever the server says. */
const shortestPollMs = 200
const longestPollMs = 60_000

/** The server says no for good: the person at the machine must do something. */
export class JoinRefused extends Error {
  override name = 'JoinRefused'
}

/**
 * Asks to join and polls until an administrator types the code; a code that ran out is replaced by a new one. Waits for a
 * server that is away. Source: security.md 3.1.
 */
export async function join(
  server: string,
  request: JoinRequest,
  deps: {transport: JoinTransport; clock: Clock; signal: AbortSignal; progress: JoinProgress; kept?: KeptRequest},
): Promise<Identity> {
  const {transport, clock, signal, progress, kept} = deps
  let former = await kept?.load()
  for (let failures = 0; ; ) {
    signal.throwIfAborted()
    try {
      const reply = former ?? (await ask(transport, request))
      if (!former) await kept?.save(reply)
      former = undefined
      failures = 0
      progress.code(reply.code, reply.expiresAt)
      const identity = await poll(server, reply, deps)
      if (identity) return identity
      progress.waiting('the code ran out or was refused; asking again')
      await sleep(clock, askAgainMs, signal)
      continue
    } catch (error) {
      if (error instanceof JoinRefused || signal.aborted) throw error
      failures += 1
      progress.waiting(reasonOf(error))
    }
    await sleep(clock, retryMs(failures), signal)
  }
}

async function ask(transport: JoinTransport, request: JoinRequest): Promise<JoinReply> {
  const {status, body} = await transport('POST', '/nodes/join', {body: request})
  if (status === 201 || status === 200) return body as JoinReply
  const {error} = body as {error?: {message?: string; hint?: string}}
  const words = [error?.message, error?.hint].filter(Boolean).join(' ') || `The server answered ${status}.`
  if (status === 400 || status === 401 || status === 403 || status === 422) throw new JoinRefused(words)
  throw new Error(words)
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const {cause} = error as {cause?: NodeJS.ErrnoException}
  return cause?.message || cause?.code || error.message
}

/** Jitter, but never at once: some thousand agents may wait for the same server. */
function retryMs(failures: number): number {
  return 500 + backoffMs(failures, {baseMs: 500, maxMs: 15_000})
}

/** Undefined when the code is not known any more: expired or rejected. */
async function poll(
  server: string,
  reply: JoinReply,
  {
    transport,
    clock,
    signal,
    progress,
  }: {transport: JoinTransport; clock: Clock; signal: AbortSignal; progress: JoinProgress},
): Promise<Identity | undefined> {
  const path = `/nodes/join/${encodeURIComponent(reply.code)}`
  const pollMs = Math.min(longestPollMs, Math.max(shortestPollMs, reply.pollAfterMs))
  for (let failures = 0; ; ) {
    await sleep(clock, failures === 0 ? pollMs : retryMs(failures), signal)
    try {
      const {status, body} = await transport('GET', path, {headers: {'x-join-secret': reply.pollSecret}})
      if (status === 404) return undefined
      if (status !== 200) throw new Error(`The server answered ${status}.`)
      failures = 0
      const {nodeId, name, nodeKey, serverId} = body as JoinStatus
      if (nodeKey) return {server, serverId: serverId ?? '', nodeId: nodeId ?? '', name: name ?? '', nodeKey}
    } catch (error) {
      if (signal.aborted) throw error
      failures += 1
      progress.waiting(reasonOf(error))
    }
  }
}
