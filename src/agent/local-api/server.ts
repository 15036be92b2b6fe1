import {createHash, timingSafeEqual} from 'node:crypto'
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import type {Logger} from '../../platform/logger.ts'
import type {Agent} from '../agent.ts'
import {readContainerRequest} from './container-request.ts'
import type {LocalContainers} from './containers.ts'
import {LocalProblem} from './problem.ts'

const maxBodyBytes = 256 * 1024
const maxConnections = 64
const requestTimeoutMs = 30_000

export interface LocalApiParts {
  agent: Agent
  containers: LocalContainers
  /** Who shows it may use everything under /api/v1. */
  token: string
  logger: Logger
}

interface Call {
  id: string
  query: URLSearchParams
  readBody(): Promise<unknown>
}

interface Answer {
  status: number
  body?: unknown
}

interface Route {
  method: string
  path: RegExp
  /** Asks for no token. */
  isOpen?: true
  answer(call: Call): Promise<Answer>
}

/** Document 004's node agent (wire.md 5.4): containers and readings of this machine, over HTTP on an address of its own. */
export class LocalApi {
  readonly #server: Server
  readonly #tokenHash: Buffer
  readonly #logger: Logger
  readonly #routes: readonly Route[]

  constructor({agent, containers, token, logger}: LocalApiParts) {
    this.#tokenHash = sha256(token)
    this.#logger = logger
    this.#routes = routesOf(agent, containers)
    this.#server = createServer({requestTimeout: requestTimeoutMs, headersTimeout: 10_000}, (request, response) => {
      void this.#serve(request, response)
    })
    this.#server.maxConnections = maxConnections
  }

  /** Its URL; port 0 takes a free one. Rejects as `listen` does, with EADDRINUSE where somebody else is. */
  async listen({host, port}: {host: string; port: number}): Promise<string> {
    await new Promise<void>((done, fail) => {
      this.#server.once('error', fail)
      this.#server.listen({host, port}, () => {
        this.#server.off('error', fail)
        done()
      })
    })
    const bound = this.#server.address() as AddressInfo
    return `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise<void>(done => this.#server.close(() => done()))
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const {status, body} = await this.#answer(request)
      send(response, status, body)
    } catch (error) {
      const failure = error instanceof LocalProblem ? error : undefined
      if (!failure) this.#logger.error({err: error, path: request.url}, 'a call of the local API failed')
      const {status, message, code, details} = failure ?? internal
      send(response, status, {error: message, code, ...(details ? {details} : {})})
    }
    request.resume() // what is left of the body is of no interest, but would hold the connection
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const url = new URL(request.url ?? '/', 'http://agent')
    const path = url.pathname.replace(/\/+$/, '') || '/'
    const here = this.#routes.filter(one => one.path.test(path))
    const route = here.find(one => one.method === request.method)
    if (!route?.isOpen) this.#checkToken(request)
    if (here.length === 0) throw new LocalProblem(404, 'not_found', `There is nothing at ${path.slice(0, 256)}.`)
    if (!route) {
      const allowed = here.map(({method}) => method).join(', ')
      throw new LocalProblem(405, 'method_not_allowed', `Use ${allowed} here.`, {allowed})
    }
    return route.answer({
      id: decoded(route.path.exec(path)?.[1] ?? ''),
      query: url.searchParams,
      readBody: () => readJson(request),
    })
  }

  #checkToken({headers}: IncomingMessage): void {
    const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
    if (given !== undefined && timingSafeEqual(sha256(given), this.#tokenHash)) return
    throw new LocalProblem(401, 'unauthorized', 'Give the agent’s token: Authorization: Bearer ….')
  }
}

const internal = {
  status: 500,
  code: 'internal',
  message: 'Something went wrong in the agent; see its log.',
  details: undefined,
}

function routesOf(agent: Agent, containers: LocalContainers): Route[] {
  const one = /^\/api\/v1\/containers\/([^/]+)$/
  const all = /^\/api\/v1\/containers$/
  return [
    {method: 'GET', path: /^\/health$/, isOpen: true, answer: async () => health(agent)},
    {
      method: 'GET',
      path: /^\/api\/v1\/metrics$/,
      answer: async ({query}) => {
        const held = await containers.heldGpus().catch(() => new Set<number>())
        return {status: 200, body: agent.metrics(query.get('node_id') ?? 'unknown', held)}
      },
    },
    {method: 'GET', path: all, answer: async () => ({status: 200, body: await containers.list()})},
    {method: 'GET', path: one, answer: async ({id}) => ({status: 200, body: await containers.get(id)})},
    {
      method: 'POST',
      path: all,
      answer: async ({readBody}) => {
        const containerId = await containers.create(readContainerRequest(await readBody()))
        return {status: 201, body: {container_id: containerId}}
      },
    },
    {
      method: 'DELETE',
      path: one,
      answer: async ({id}) => {
        await containers.remove(id)
        return {status: 204}
      },
    },
  ]
}

function health(agent: Agent): Answer {
  const timestamp = new Date(agent.clock.now()).toISOString()
  const {gpuState, gpuReason} = agent.gpuHealth
  if (gpuState !== 'lost') return {status: 200, body: {status: 'healthy', timestamp}}
  return {status: 503, body: {status: 'unhealthy', timestamp, error: gpuReason, code: 'gpu_lost'}}
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > maxBodyBytes) throw new LocalProblem(413, 'too_large', `The body is larger than ${maxBodyBytes} bytes.`)
    pieces.push(piece)
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'))
  } catch {
    throw new LocalProblem(400, 'invalid_request', 'The body is not JSON.', {field: 'body'})
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return
  const content = body === undefined ? undefined : JSON.stringify(body)
  const headers = content === undefined ? {} : {'content-type': 'application/json; charset=utf-8'}
  response
    .writeHead(status, {...headers, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff'})
    .end(content)
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new LocalProblem(400, 'invalid_request', 'The path is not well encoded.', {field: 'path'})
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
