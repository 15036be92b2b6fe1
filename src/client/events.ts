import type {IncomingMessage} from 'node:http'
import type {EventSourceFetchInit, FetchLikeResponse} from 'eventsource'
import {ApiError, readFailure, UnreachableError} from './api-error.ts'
import type {Message, Target} from './message.ts'

export interface ServerEvent<T> {
  /** `message` unless the server named it. */
  event: string
  id: string
  data: T
}

/** Names that the streams of the contract use (server/stream.ts); `end` and `failure` finish a stream. */
const eventNames = ['message', 'log', 'end', 'reset', 'failure']
/** The server pings every 10 s; a connection that says nothing for so long is dead, though TCP does not know it. */
const silenceMs = 30_000
/** How long the server may be away before following is given up. */
const awayMs = 30_000
/** Events that may wait for the reader; then the connection is no longer read. */
const maxWaiting = 16

/** What this needs of a client. */
interface Opener {
  target: () => Promise<Target>
  open: (message: Partial<Message> & {method: string; path: string}) => Promise<IncomingMessage>
}

interface Following {
  client: Opener
  path: string
  signal?: AbortSignal
  silenceMs?: number
}

/**
 * Follows an event stream until `end`, an abort (then it just ends), or a refusal. After a cut or a silence it connects
 * again and goes on behind the last event seen. Throws ApiError or UnreachableError.
 */
export async function* followEvents<T>(following: Following): AsyncGenerator<ServerEvent<T>> {
  const {EventSource} = await import('eventsource')
  const {client, path, signal} = following
  if (signal?.aborted) return
  const {server} = await client.target()
  const waiting: ServerEvent<T>[] = []
  let failure: unknown
  let isOver = false
  let lostAt: number | undefined
  let wake = () => {}
  let makeRoom = () => {}

  const finish = (error?: unknown) => {
    failure ??= error
    isOver = true
    wake()
  }
  const source = new EventSource(new URL(path, server), {
    fetch: async (_, init) => {
      try {
        const answer = await connect(client, path, init)
        lostAt = undefined
        return asFetched(answer, following.silenceMs ?? silenceMs, async () => {
          while (waiting.length >= maxWaiting && !isOver) {
            await new Promise<void>(resolve => {
              makeRoom = resolve
            })
          }
        })
      } catch (error) {
        const isFirst = lostAt === undefined && source.readyState !== EventSource.CLOSED && !wasOpen
        if (isFirst || !isPassing(error)) finish(error)
        lostAt ??= performance.now()
        if (performance.now() - lostAt > awayMs) finish(error)
        throw error
      }
    },
  })
  let wasOpen = false
  source.addEventListener('open', () => {
    wasOpen = true
  })
  source.addEventListener('error', ({message}) => {
    if (source.readyState === EventSource.CLOSED) finish(new Error(message ?? 'The event stream cannot be read.'))
  })
  for (const event of eventNames) {
    source.addEventListener(event, (message: {data: string; lastEventId: string}) => {
      if (isOver) return
      const data = JSON.parse(message.data) as T
      if (event === 'failure') return finish(readFailure(500, message.data, {}))
      waiting.push({event, id: message.lastEventId, data})
      if (event === 'end') return finish()
      wake()
    })
  }
  const abort = () => finish()
  signal?.addEventListener('abort', abort, {once: true})
  try {
    for (;;) {
      const next = waiting.shift()
      if (next) {
        makeRoom()
        yield next
      } else if (isOver) break
      else {
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
      if (signal?.aborted) return
    }
    if (failure !== undefined) throw failure
  } finally {
    isOver = true
    makeRoom()
    source.close()
    signal?.removeEventListener('abort', abort)
  }
}

function connect(client: Opener, path: string, {headers, signal}: EventSourceFetchInit): Promise<IncomingMessage> {
  const given = headers as Record<string, string>
  const wanted = Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]))
  return client.open({method: 'GET', path, headers: wanted, isStream: true, signal: signal as AbortSignal})
}

/** A server that restarts or is busy comes back; a refusal stays one. */
function isPassing(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 503 || error.status === 429 || error.status === 502
  return error instanceof UnreachableError && error.code !== 'tls_failed'
}

/** The answer in the shape that eventsource reads: with a watchdog, and read only while there is room. */
function asFetched(answer: IncomingMessage, withinMs: number, room: () => Promise<void>): FetchLikeResponse {
  const pieces = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  const watchdog = setTimeout(() => answer.destroy(new Error('silent')), withinMs)
  answer.once('close', () => clearTimeout(watchdog))
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async controller => {
        await room()
        watchdog.refresh()
        const {value, done} = await pieces.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: () => void answer.destroy(),
    },
    {highWaterMark: 0},
  )
  return {
    status: answer.statusCode ?? 0,
    url: '',
    redirected: false,
    headers: {get: name => String(answer.headers[name.toLowerCase()] ?? '') || null},
    body: body as unknown as FetchLikeResponse['body'],
  }
}
