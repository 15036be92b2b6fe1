import {setTimeout as pause} from 'node:timers/promises'
import type {Runtime} from '../../../contract/schemas/runtimes.ts'
import {problem} from '../../../domain/errors.ts'
import {streamToken} from '../../auth.ts'
import {route} from '../../dialect.ts'
import {nodeToWire} from './wire.ts'

/** Document 000's page looks every five seconds; who is told need not ask, so it is told sooner. */
const lookEveryMs = 1_000

/** What the page is told: of each runtime that came, changed its state, beat, or went. */
type Message =
  | {type: 'NodeRegistered' | 'NodeStatusChanged' | 'MetricsUpdated'; data: ReturnType<typeof nodeToWire>}
  | {type: 'NodeRemoved'; data: {id: string}}

/** The feed of the router's own dashboard (wire.md 1.7). */
export const dashboardRoute = route({
  method: 'GET',
  path: '/ws/dashboard',
  access: 'super_admin',
  transport: 'socket',
  // It only tells.
  scope: 'read',
  credential: streamToken,
  summary: 'Changes of runtimes as they happen, over a WebSocket; a page names its login, or a ticket, as `?token=`.',
  async handle({asker, services, sources, request, reply}) {
    const {runtimes} = services
    await sources.terminals.open({
      request,
      reply,
      kind: 'transfer',
      stillAllowed: async () => {
        const {role = 'nobody'} = (await services.users.find(asker.id)) ?? {}
        if (role !== 'super_admin') throw problem('role_too_low', {needed: 'super_admin', role})
      },
      async start() {
        const over = new AbortController()
        const first = await runtimes.list({})
        const look = () => runtimes.list({})
        return {
          output: feed(first, look, over.signal),
          write: async () => {},
          close: () => over.abort(),
        }
      },
      speech: {
        read: () => ({}),
        // One piece of the feed is one message.
        show: piece => [Buffer.from(piece).toString('utf8')],
        fail: ({code, message}) => JSON.stringify({type: 'Error', data: {code, message}}),
      },
    })
  },
})

async function* feed(first: readonly Runtime[], look: () => Promise<readonly Runtime[]>, signal: AbortSignal) {
  let before = first
  while (!signal.aborted) {
    await pause(lookEveryMs, undefined, {signal}).catch(() => {})
    if (signal.aborted) return
    const now = await look()
    for (const message of changes(before, now)) yield Buffer.from(JSON.stringify(message))
    before = now
  }
}

/** What became of the runtimes between two looks. */
export function* changes(before: readonly Runtime[], now: readonly Runtime[]): Generator<Message> {
  const old = new Map(before.map(one => [one.id, one]))
  for (const one of now) {
    const known = old.get(one.id)
    old.delete(one.id)
    if (!known) yield {type: 'NodeRegistered', data: nodeToWire(one)}
    else if (known.status !== one.status) yield {type: 'NodeStatusChanged', data: nodeToWire(one)}
    else if (known.load?.at !== one.load?.at) yield {type: 'MetricsUpdated', data: nodeToWire(one)}
  }
  for (const id of old.keys()) yield {type: 'NodeRemoved', data: {id}}
}
