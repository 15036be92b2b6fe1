import type {FastifyReply, FastifyRequest} from 'fastify'
import type {InputOf} from '../contract/contract.ts'
import type {OperationName} from '../contract/routes.ts'
import type {Event} from '../contract/schemas/server.ts'
import type {Caller} from '../domain/caller.ts'
import type {Services} from '../domain/services/services.ts'
import {answerWithStream, endWith} from './event-stream.ts'
import {followEvents} from './follow-events.ts'
import type {NodeReadings} from './node-readings.ts'
import type {OpenStreams} from './open-streams.ts'
import type {ServerSettings} from './settings.ts'
import {type EventWriter, encodeEvent} from './stream.ts'
import type {Topic} from './topic.ts'

export type EventOperation =
  | 'events.stream'
  | 'nodes.statsOfAll'
  | 'nodes.stats'
  | 'instances.stats'
  | 'instances.followLogs'
  | 'tasks.follow'

/** What the event streams of one server share. */
export interface StreamSources {
  services: Services
  settings: ServerSettings
  readings: NodeReadings
  events: Topic<Event>
  open: OpenStreams
  /** New at each start of the server; the first half of every event id. */
  boot: string
}

interface Visit<N extends OperationName = EventOperation> {
  input: InputOf<N>
  caller: Caller
  /** Header Last-Event-ID: the last event that a returning reader has. */
  lastId: string | undefined
}

/** Looks everything up that may still be refused with a status, then returns what feeds the open stream. */
type Prepare<N extends EventOperation> = (
  visit: Visit<N>,
  sources: StreamSources,
  signal: AbortSignal,
) => Promise<(writer: EventWriter) => void | Promise<void>>

/** What a returning reader gets first when what it missed is no longer known: forget what you had, this is new. */
const reset = encodeEvent({event: 'reset', data: {}})

const eventSources: {[N in EventOperation]: Prepare<N>} = {
  'events.stream':
    async (visit, {services, events, boot}) =>
    writer =>
      followEvents({...visit, services, topic: events, boot, writer}),
  'nodes.statsOfAll':
    async ({input, lastId}, {readings}) =>
    writer => {
      const first = readings.current()
      if (lastId !== undefined && lastId !== first.id) writer.send(reset)
      writer.send(first.fleet())
      endWith(
        writer,
        readings.watch(input.interval ?? 1, reading => writer.send(reading.fleet())),
      )
    },
  'nodes.stats': async ({input, caller, lastId}, {readings, services}) => {
    const {id} = await services.nodes.resolve(input.id, caller)
    return writer => {
      const read = (frame: Buffer | undefined) => (frame ? writer.send(frame) : writer.end())
      const first = readings.current()
      if (lastId !== undefined && lastId !== first.id) writer.send(reset)
      read(first.node(id))
      endWith(
        writer,
        readings.watch(input.interval ?? 1, reading => read(reading.node(id))),
      )
    }
  },
  'instances.stats': async ({input, caller}, {services, boot}, signal) => {
    const readings = await services.instances.openStats(input, caller, signal)
    return async writer => {
      let sequence = 0
      for await (const data of readings) {
        if (signal.aborted) return
        await writer.sendSlowly(encodeEvent({id: `${boot}-${++sequence}`, data}))
      }
      writer.send(encodeEvent({event: 'end', data: {}}))
    }
  },
  'tasks.follow': async ({input, caller}, {services, boot}, signal) => {
    const states = await services.tasks.follow(input, caller, signal)
    return async writer => {
      let sequence = 0
      for await (const data of states) {
        if (signal.aborted) return
        await writer.sendSlowly(encodeEvent({id: `${boot}-${++sequence}`, data}))
      }
      writer.send(encodeEvent({event: 'end', data: {}}))
    }
  },
  'instances.followLogs': async ({input, caller, lastId}, {services}, signal) => {
    const output = await services.instances.followLogs(input, lastId, caller, signal)
    return async writer => {
      for await (const event of output) {
        if (signal.aborted) return
        await writer.sendSlowly(encodeEvent(event))
      }
    }
  },
}

/** Answers a request with the operation's event stream. */
export function openEventStream<N extends EventOperation>(
  name: N,
  input: InputOf<N>,
  request: FastifyRequest,
  reply: FastifyReply,
  sources: StreamSources,
): Promise<void> {
  const {settings, open} = sources
  const lastId = request.headers['last-event-id']
  const visit = {
    input,
    caller: request.asker as Caller,
    lastId: typeof lastId === 'string' ? lastId.slice(0, 128) : undefined,
  }
  const prepare = (signal: AbortSignal) => eventSources[name](visit as never, sources, signal)
  return answerWithStream({request, reply, settings, open, prepare})
}
