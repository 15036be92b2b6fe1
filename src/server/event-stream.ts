import type {FastifyReply, FastifyRequest} from 'fastify'
import type {Caller} from '../domain/caller.ts'
import {problem} from '../domain/errors.ts'
import {asProblem, nativeFailure} from './errors.ts'
import type {OpenStreams} from './open-streams.ts'
import type {ServerSettings} from './settings.ts'
import {EventWriter, encodeEvent} from './stream.ts'

type Feed = (writer: EventWriter) => void | Promise<void>

interface StreamAnswer {
  request: FastifyRequest
  reply: FastifyReply
  settings: ServerSettings
  open: OpenStreams
  /** Instead of `no-store, no-transform`. */
  cacheControl?: string
  /** First bytes of the stream, instead of those of the native API. */
  preamble?: Buffer
  /** Rejects when the caller may no longer see what the stream is about; asked each minute and when its user changes. */
  stillAllowed?: () => Promise<unknown>
  /** Looks everything up that may still be refused with a status, then returns what feeds the open stream. */
  prepare(signal: AbortSignal): Promise<Feed>
}

/** Answers a request with an event stream. What can be refused is refused before the first byte. */
export async function answerWithStream(answer: StreamAnswer): Promise<void> {
  const {request, reply, settings, open, cacheControl = 'no-store, no-transform', preamble, stillAllowed} = answer
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  let writer: EventWriter | undefined
  const leave = open.add({
    caller: request.asker as Caller,
    credential: request.credential,
    kind: 'events',
    stillAllowed,
    end: () => (writer ? writer.end() : gone.abort()),
  })
  gone.signal.addEventListener('abort', leave)
  try {
    const feed = await answer.prepare(gone.signal)
    if (gone.signal.aborted) throw problem('server_stopping', {})
    reply.hijack()
    reply.raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': cacheControl,
      'x-accel-buffering': 'no',
    })
    writer = new EventWriter({response: reply.raw, preamble, ...settings})
    endWith(writer, () => gone.abort())
    await run(feed, writer, request)
  } catch (error) {
    gone.abort()
    throw error
  }
}

async function run(feed: Feed, writer: EventWriter, request: FastifyRequest) {
  try {
    const fed = feed(writer)
    if (!fed) return
    await fed
  } catch (error) {
    if (writer.signal.aborted) return
    const failure = asProblem(error, 0)
    if (failure.kind === 'internal') request.log.error({requestId: request.id, err: failure.cause}, 'stream failed')
    writer.send(encodeEvent({event: 'failure', data: nativeFailure(failure, request.id).body}))
  }
  writer.end()
}

export function endWith(writer: EventWriter, unsubscribe: () => void): void {
  if (writer.signal.aborted) unsubscribe()
  else writer.signal.addEventListener('abort', unsubscribe)
}
