import type {InputOf} from '../contract/contract.ts'
import type {Event} from '../contract/schemas/server.ts'
import type {Caller} from '../domain/caller.ts'
import type {Services} from '../domain/services/services.ts'
import {type EventWriter, encodeEvent} from './stream.ts'
import {Entry, type Topic} from './topic.ts'

interface Follower {
  input: InputOf<'events.stream'>
  caller: Caller
  lastId: string | undefined
  services: Services
  topic: Topic<Event>
  boot: string
  writer: EventWriter
}

/** Most events that one call of events.list answers. */
const page = 1000
/** Events that may wait for one reader's visibility checks. */
const maxWaiting = 3000

/**
 * Sends what happens to one reader. One who comes back gets what it missed, from memory or else from the store, each
 * event once; when more was missed than a page, `reset` and the newest page.
 */
export async function followEvents({input, caller, lastId, services, topic, boot, writer}: Follower): Promise<void> {
  const waiting: Entry<Event>[] = []
  const sent = new Set<number>()
  let wake = () => {}
  const unsubscribe = topic.subscribe(entry => {
    if (waiting.push(entry) > maxWaiting) writer.cut()
    wake()
  })
  writer.signal.addEventListener('abort', () => wake())
  try {
    const inMemory = lastId === undefined ? [] : topic.after(lastId)
    if (inMemory) waiting.unshift(...inMemory)
    else {
      for (const entry of await missed()) {
        sent.add(entry.value.number)
        await writer.sendSlowly(entry.frame)
      }
    }

    while (!writer.signal.aborted) {
      const entry = waiting.shift()
      if (!entry) {
        await new Promise<void>(resolve => {
          wake = resolve
        })
      } else if (isWanted(entry.value, input) && !sent.has(entry.value.number)) {
        if (!(await services.events.visible(entry.value, caller))) continue
        // What was missed goes at the reader's pace; what happens now finds a reader that keeps up, or cuts it off.
        if (waiting.length > 0) await writer.sendSlowly(entry.frame)
        else writer.send(entry.frame)
      }
    }
  } finally {
    unsubscribe()
  }

  async function missed(): Promise<Entry<Event>[]> {
    const number = Number(/-(\d{1,15})$/.exec(lastId ?? '')?.[1] ?? Number.NaN)
    const after = Number.isNaN(number) ? undefined : number
    const events = await services.events.list({...input, after, limit: page}, caller)
    if (after !== undefined && events.length < page) return events.map(asEntry)
    writer.send(encodeEvent({event: 'reset', data: {}}))
    return (await services.events.list({...input, limit: page}, caller)).map(asEntry)
  }

  function asEntry(event: Event): Entry<Event> {
    return new Entry(`${boot}-${event.number}`, event)
  }
}

function isWanted(event: Event, {kind, object}: InputOf<'events.stream'>): boolean {
  if (kind !== undefined && event.kind !== kind) return false
  return object === undefined || event.objectId === object || event.objectName === object
}
