import {createServer, type Server, type Socket} from 'node:net'
import {setTimeout as delay} from 'node:timers/promises'
import {ApiError, UnreachableError} from '../client/api-error.ts'
import type {Client} from '../client/client.ts'
import type {Terminal} from '../client/terminal.ts'
import {type ControlMessage, encodeControl, encodeFrame, frameKind} from '../contract/frames.ts'
import {Failure, usageError} from './failure.ts'

/** `LOCAL:REMOTE`; local 0 is a free one. */
export interface PortPair {
  local: number
  remote: number
}

export interface Forwarding {
  client: Client
  instance: string
  /** To listen at. */
  address: string
  pair: PortPair
  /** Told what happens to single connections. */
  notice: (text: string) => void
  signal: AbortSignal
}

/** How long a new connection waits for a server that is away. */
const awayMs = 30_000
const againMs = 500

/** `8888`, `9000:8888`, `:8888` (a free local one). */
export function readPortPair(text: string): PortPair {
  const match = /^(?:(\d{0,5}):)?(\d{1,5})$/.exec(text)
  const remote = Number(match?.[2])
  const local = match?.[1] === undefined ? remote : Number(match[1] || 0)
  if (!match || remote < 1 || remote > 65_535 || local > 65_535) {
    throw usageError(`${text} is not a port.`, 'Write it as REMOTE or LOCAL:REMOTE, as 9000:8888.')
  }
  return {local, remote}
}

/** Listens; every connection is carried to the instance's port until the signal fires. Resolves with the port that listens. */
export async function listenForward(forwarding: Forwarding): Promise<{port: number; closed: Promise<void>}> {
  const {address, pair, signal} = forwarding
  const open = new Set<Socket>()
  const server = createServer({allowHalfOpen: true, noDelay: true, pauseOnConnect: true}, socket => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    void carry(socket, forwarding)
  })
  await listening(server, pair.local, address)
  const closed = new Promise<void>(resolve => void server.once('close', resolve))
  const stop = () => {
    server.close()
    for (const socket of open) socket.destroy()
  }
  signal.addEventListener('abort', stop, {once: true})
  if (signal.aborted) stop()
  return {port: (server.address() as {port: number}).port, closed}
}

function listening(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'it is taken' : error.message
      reject(
        new Failure('port_taken', `Port ${port} of ${host} cannot be used: ${why}.`, {
          hint: `Give another one, as ${port + 1}:REMOTE, or 0:REMOTE.`,
        }),
      )
    })
    server.listen(port, host, () => resolve())
  })
}

async function carry(socket: Socket, forwarding: Forwarding): Promise<void> {
  const {notice, pair, signal} = forwarding
  socket.on('error', () => {}) // the local program left
  let remote: Terminal | undefined
  try {
    remote = await dial(forwarding, () => socket.destroyed)
    if (!remote) return
    const far = remote
    socket.once('close', () => far.close())
    const up = sendUp(socket, far)
    await Promise.all([up, copyDown(far, socket)])
  } catch (error) {
    if (!signal.aborted && !socket.destroyed)
      notice(`A connection to port ${pair.remote} ended: ${(error as Error).message}`)
    socket.resetAndDestroy()
  } finally {
    remote?.close()
  }
}

/** Again while the server is away, as long as the local program waits. */
async function dial(
  {client, instance, pair, signal}: Forwarding,
  hasLeft: () => boolean,
): Promise<Terminal | undefined> {
  const startedAt = performance.now()
  for (;;) {
    try {
      return await client.terminal('instances.forward', {id: instance, port: pair.remote})
    } catch (error) {
      const isAway = error instanceof UnreachableError || (error instanceof ApiError && error.status === 503)
      if (!isAway || performance.now() - startedAt > awayMs) throw error
      await delay(againMs, undefined, {signal})
      if (hasLeft()) return undefined
    }
  }
}

async function sendUp(socket: Socket, remote: Terminal): Promise<void> {
  try {
    for await (const piece of socket.iterator({destroyOnReturn: false}))
      await remote.send(encodeFrame(frameKind.stdin, piece as Buffer))
    await remote.send(encodeControl({eof: true}))
  } catch {
    remote.close() // one of them has left: the other direction says why
  }
}

async function copyDown({frames}: Terminal, socket: Socket): Promise<void> {
  for await (const {kind, payload} of frames) {
    if (kind === frameKind.control) {
      const {error} = JSON.parse(Buffer.from(payload).toString('utf8')) as ControlMessage
      if (error) throw new Failure(error.code, error.message)
    } else if (!socket.write(payload)) {
      await new Promise<void>(resolve => {
        socket.once('drain', resolve)
        socket.once('close', () => resolve())
      })
    }
    if (socket.destroyed) return
  }
  socket.end()
}
