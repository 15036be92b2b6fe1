import type {Http2Session, SessionOptions, Settings} from 'node:http2'
import type {Duplex} from 'node:stream'
import {type Clock, systemClock} from '../platform/clock.ts'
import {LinkError} from './link-error.ts'

/** What both ends of a link let a caller set. */
export interface LinkTiming {
  clock?: Clock
  pingEveryMs?: number
  /** A link that was silent for so long is taken for dead. */
  deadAfterMs?: number
}

/** The word in the `Upgrade` header. */
export const LINK_PROTOCOL = 'gpuctl-link'

/** Streams that one link carries at the same time. */
export const MAX_STREAMS = 1_000

/** Bytes on the way to a reader who does not read: what one slow reader can cost, and what a fast one can get per round trip. */
const WINDOW_BYTES = 8 * 1024 * 1024

const settings: Settings = {
  enablePush: false,
  initialWindowSize: WINDOW_BYTES,
  maxConcurrentStreams: MAX_STREAMS,
  maxFrameSize: 64 * 1024,
  maxHeaderListSize: 64 * 1024,
}

/** MiB; Node's own 10 refuses streams while a thousand of them have something to send. */
export const sessionOptions: SessionOptions = {settings, maxSessionMemory: 256, maxHeaderListPairs: 128}

/** The end of a link, as both sides see it. */
export interface SessionWatch {
  /** Why the link ended; never rejects. */
  readonly closed: Promise<string>
  readonly isClosed: () => boolean
  readonly reason: () => string
  /** Ends the link now, with all its streams, and tells the other side why. */
  close(reason: string): void
  /** Round trip, ms. Rejects with `LinkError`. */
  ping(): Promise<number>
}

/**
 * Looks after one HTTP/2 session: keeps every error from the process, finds out why it ended, and ends it when the other
 * side is silent, because a peer that lost its power or its route sends nothing at all.
 */
export function watchSession(session: Http2Session, socket: Duplex, timing: LinkTiming): SessionWatch {
  const {clock = systemClock, pingEveryMs = 5_000, deadAfterMs = 15_000} = timing
  let reason: string | undefined
  let ended = false
  let settle: (reason: string) => void = () => {}
  const closed = new Promise<string>(resolve => {
    settle = resolve
  })
  const explain = (text: string) => {
    reason ??= text
  }

  const end = () => {
    if (ended) return
    ended = true
    stopPulse()
    explain('the other side closed the connection')
    if (!session.destroyed) session.destroy()
    setImmediate(() => socket.destroy()) // not at once: the last frame may say why
    settle(reason as string)
  }
  session.on('error', error => explain(error.message))
  session.on('goaway', (_code, _last, why) => {
    if (why?.length) explain(Buffer.from(why).toString('utf8').slice(0, 200))
    // Nothing is finished in peace here: what runs over a link is repeated over the next one.
    setImmediate(end)
  })
  session.on('close', end)
  socket.on('error', error => explain(error.message))
  socket.on('close', end)

  const close = (why: string) => {
    if (ended) return
    explain(why)
    if (!session.destroyed && !session.connecting) session.goaway(0, 0, Buffer.from(why.slice(0, 200)))
    end()
  }

  const ping = () =>
    new Promise<number>((resolve, reject) => {
      const down = () => reject(new LinkError('link_down', `The link is down: ${reason ?? 'the connection ended'}.`))
      if (ended || session.destroyed) down()
      // the end of the session fails the pings that wait
      else if (!session.ping((error, roundTripMs) => (error ? down() : resolve(roundTripMs))))
        reject(new LinkError('busy', 'Too many pings wait for their answers.'))
    })

  const silent = () => close(`no sign of life for ${deadAfterMs} ms`)
  const stopPulse = keepPulse({clock, pingEveryMs, deadAfterMs, ping, silent, bytesRead: () => bytesRead(socket)})
  return {closed, isClosed: () => ended, reason: () => reason ?? '', close, ping}
}

function keepPulse(options: {
  clock: Clock
  pingEveryMs: number
  deadAfterMs: number
  ping: () => Promise<number>
  silent: () => void
  bytesRead: () => number
}): () => void {
  const {clock, pingEveryMs, deadAfterMs, ping, silent, bytesRead} = options
  let heardMs = clock.monotonic()
  let heardBytes = bytesRead()
  let timer = clock.setTimeout(tick, pingEveryMs, {unref: true})
  let dueMs = heardMs + pingEveryMs

  function tick(): void {
    const nowMs = clock.monotonic()
    const bytes = bytesRead()
    // Any byte is a sign of life: a ping may queue behind a bulk stream. And when this process itself stood still
    // (stopped, suspended, blocked), the silence was our own.
    if (bytes !== heardBytes || nowMs - dueMs > pingEveryMs) heardMs = nowMs
    heardBytes = bytes
    if (nowMs - heardMs >= deadAfterMs) {
      silent()
      return
    }
    ping().then(
      () => {
        heardMs = clock.monotonic()
      },
      () => {}, // the end of the session is told elsewhere
    )
    dueMs = nowMs + pingEveryMs
    timer = clock.setTimeout(tick, pingEveryMs, {unref: true})
  }
  return () => timer.cancel()
}

function bytesRead(socket: Duplex & {bytesRead?: number}): number {
  return socket.bytesRead ?? 0
}

/** Once the session runs: lets the other side send a window ahead on the connection as a whole. */
export function widenWindow(session: Http2Session): void {
  session.once('connect', () => {
    if (!session.destroyed) session.setLocalWindowSize(4 * WINDOW_BYTES)
  })
}
