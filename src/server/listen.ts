import {randomUUID} from 'node:crypto'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {createServer, type Server, type ServerOptions} from 'node:http'
import type {AddressInfo, Socket} from 'node:net'
import type {FastifyInstance} from 'fastify'
import {problem} from '../domain/errors.ts'
import {nativeFailure} from './errors.ts'
import {takeBackUpgrade} from './upgrade.ts'

export interface ListenAddress {
  host: string
  /** 0 = a free one. */
  port: number
}

/** PEM texts. */
export interface Tls {
  cert: string
  key: string
}

/** Listens at all addresses, or at none. Resolves with them as they were bound; rejects with Node's error (EADDRINUSE, …). */
export async function listen(
  app: FastifyInstance,
  addresses: readonly ListenAddress[],
  tls?: Tls,
): Promise<ListenAddress[]> {
  const bound: ListenAddress[] = []
  const servers: Server[] = []
  try {
    for (const {host, port} of addresses) {
      app.front.hosts.add(host)
      const server = await makeServer(app, tls)
      server.listen({host, port})
      await once(server, 'listening')
      servers.push(server)
      bound.push({host, port: (server.address() as AddressInfo).port})
    }
    for (const server of servers) app.front.servers.add(server)
    return bound
  } catch (error) {
    for (const server of servers) server.close()
    throw error
  }
}

/**
 * Stops in good order: no new connection, streams and terminals ended, requests in flight answered – or cut after
 * `graceMs`. A second call while the first one waits cuts at once.
 */
export async function close(app: FastifyInstance, {graceMs = 8000}: {graceMs?: number} = {}): Promise<void> {
  const {front} = app
  const servers = [...front.servers]
  const closed = Promise.all(servers.map(server => (server.listening ? once(server, 'close') : undefined)))
  if (front.stopping) {
    cut(app)
    await closed
    return
  }
  front.stopping = true
  for (const server of servers) server.close()
  front.streams.stop()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, graceMs)
  })
  await Promise.race([front.idle(), late, closed])
  clearTimeout(timer)
  cut(app)
  await closed
  await app.close()
}

function cut({front}: FastifyInstance): void {
  front.upgrades.destroyAll()
  for (const server of front.servers) server.closeAllConnections()
}

async function makeServer(app: FastifyInstance, tls: Tls | undefined): Promise<Server> {
  const {settings, upgrades} = app.front
  const options: ServerOptions = {
    maxHeaderSize: 16 * 1024,
    requestTimeout: settings.requestTimeoutMs,
    headersTimeout: settings.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(5000, settings.requestTimeoutMs),
    keepAliveTimeout: settings.keepAliveTimeoutMs,
    // A missing Host is refused by the host check, with words.
    requireHostHeader: false,
  }
  const server = tls
    ? (await import('node:https')).createServer({...options, ...tls, minVersion: 'TLSv1.2'})
    : createServer(options)
  server.maxConnections = settings.maxConnections ?? threeQuartersOfDescriptors()
  server.on('request', app.routing)
  server.on('upgrade', (request, socket, head) => {
    if (request.method === 'GET') return upgrades.dispatch(app.routing, request, socket as Socket, head)
    takeBackUpgrade(request, socket as Socket, head)
    server.emit(tls ? 'secureConnection' : 'connection', socket)
  })
  server.on('clientError', (error, socket) => refuse(error, socket as Socket))
  return server
}

/** Answers what is not even HTTP, or came too slowly, or with too large a head. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, wrong, fix] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? (['431 Request Header Fields Too Large', 'has a head of more than 16 KiB', 'Send fewer headers.'] as const)
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? (['408 Request Timeout', 'came too slowly', 'Send it again, whole.'] as const)
        : (['400 Bad Request', 'is not HTTP', 'Send HTTP/1.1.'] as const)
  const requestId = randomUUID()
  const {body} = nativeFailure(problem('input_invalid', {field: 'request', problem: wrong, fix}), requestId)
  const text = JSON.stringify(body)
  const head = [`HTTP/1.1 ${status}`, 'Content-Type: application/json; charset=utf-8', `X-Request-Id: ${requestId}`]
  socket.end(`${head.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`)
}

/** What the process may open, less what it needs for files, the store and its own calls. */
function threeQuartersOfDescriptors(): number {
  try {
    const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])
    return Math.floor(limit * 0.75) || 768
  } catch {
    return 768
  }
}
