import {setTimeout as delay} from 'node:timers/promises'
import type {Client} from '../../client/client.ts'
import type {Claim} from '../../contract/schemas/claims.ts'
import type {Instance} from '../../contract/schemas/instances.ts'
import {type FleetLists, type FleetSnapshot, snapshotOf} from './fleet.ts'

const pageSize = 1000
/** Instances and waiting claims are read so far; a fleet with more shows the first of them. */
const mostPages = 10
/** Lists are read again soon after an event, and now and then without one, because ages and positions move by themselves. */
const pace = {afterEventMs: 500, withoutEventMs: 10_000}
/** A reading of all lists that took so long is not repeated before `share` times as long has gone by. */
const share = 10

/**
 * A snapshot for each reading that the server sends (every `interval` seconds), with the lists of instances, waiting claims
 * and nodes as they were last read. Ends with the signal; throws what the stream of readings throws.
 */
export async function* followFleet(
  client: Client,
  {interval, signal}: {interval: number; signal: AbortSignal},
): AsyncGenerator<FleetSnapshot> {
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  let lists = await readLists(client, both)
  const keeping = keepLists(client, both, found => {
    lists = found
  })
  try {
    for await (const {event, data} of client.events('nodes.statsOfAll', {interval}, {signal: both})) {
      if (event === 'message') yield snapshotOf(data.at, data.nodes, lists)
    }
  } finally {
    stop.abort()
    await keeping
  }
}

/** Reads the lists again whenever something happened. The readings notice a server that is away; this just tries on. */
async function keepLists(client: Client, signal: AbortSignal, tell: (lists: FleetLists) => void): Promise<void> {
  let hasHappened = false
  let wake = () => {}
  const listening = (async () => {
    while (!signal.aborted) {
      try {
        for await (const {event} of client.events('events.stream', {}, {signal})) {
          if (event === 'end') break
          hasHappened = true
          wake()
        }
      } catch {
        // The lists are read without it, later.
      }
      await delay(1_000, undefined, {signal}).catch(() => {})
    }
  })()
  while (!signal.aborted) {
    if (!hasHappened) await sleep(pace.withoutEventMs, signal, waker => (wake = waker))
    await sleep(pace.afterEventMs, signal)
    if (signal.aborted) break
    hasHappened = false
    const startedAt = performance.now()
    try {
      tell(await readLists(client, signal))
    } catch {
      // Shown as they were; the next time comes.
    }
    await sleep((performance.now() - startedAt) * share, signal)
  }
  await listening
}

/** Until then, until the waker is called, or until the signal. */
function sleep(ms: number, signal: AbortSignal, offer: (wake: () => void) => void = () => {}): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
    offer(end)
    if (signal.aborted) end()
  })
}

async function readLists(client: Client, signal: AbortSignal): Promise<FleetLists> {
  const [nodes, instances, waiting] = await Promise.all([
    client.call('nodes.list', {}, {signal}),
    allPages<Instance>(page => client.call('instances.list', {all: true, ...page}, {signal})),
    allPages<Claim>(page => client.call('claims.list', {phase: 'Pending', all: true, ...page}, {signal})),
  ])
  return {nodes, instances, waiting}
}

async function allPages<T>(read: (page: {limit: number; offset: number}) => Promise<T[]>): Promise<T[]> {
  const rows: T[] = []
  for (let page = 0; page < mostPages; page++) {
    const found = await read({limit: pageSize, offset: page * pageSize})
    rows.push(...found)
    if (found.length < pageSize) break
  }
  return rows
}
