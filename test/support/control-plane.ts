import {readFile} from 'node:fs/promises'
import {request as httpRequest, type IncomingHttpHeaders} from 'node:http'
import {join} from 'node:path'
import {onTestFinished} from 'vitest'
import {apiPrefix, type OperationName, routes} from '../../src/contract/routes.ts'
import type {JoinReply} from '../../src/contract/schemas/nodes.ts'
import type {AuditEntry} from '../../src/domain/ports.ts'
import {type ControlServerOptions, type RunningServer, startControlServer} from '../../src/main/control-server.ts'
import {localTokenFile} from '../../src/main/local-fleet.ts'
import {simulate} from '../../src/main/simulator.ts'
import {createLogger, createStreamLogger} from '../../src/platform/logger.ts'
import {openStore} from '../../src/store/open.ts'
import {temporaryDirectory} from './temporary-directory.ts'
import {eventually} from './wait.ts'

export interface Call {
  token?: string
  body?: unknown
  /** Sent as it is, in place of a body. */
  raw?: string
  headers?: Record<string, string>
  /** Source address of the call, as 127.0.0.7: all of 127.0.0.0/8 is this machine. */
  localAddress?: string
}

export interface Reply {
  status: number
  headers: IncomingHttpHeaders
  text: string
  /** The body where it is JSON, else undefined. */
  // biome-ignore lint/suspicious/noExplicitAny: what a server answers is for the test to judge.
  json: any
}

export type ControlPlane = Awaited<ReturnType<typeof controlPlane>>

/**
 * The real control server in this process, as the program puts it together: SQLite in a folder of its own, services,
 * controllers and HTTP on a free loopback port. Its log is kept in memory. All ends with the running test.
 */
export async function controlPlane(options: Partial<ControlServerOptions> = {}) {
  const directory = options.directory ?? join(await temporaryDirectory('gpuctl-plane-'), 'server')
  const lines: string[] = []
  const start = () =>
    startControlServer({
      directory,
      addresses: [{host: '127.0.0.1', port: 0}],
      exposed: false,
      version: '0.0.0-test',
      logger: createStreamLogger({level: 'debug', stream: {write: line => void lines.push(line)}}),
      env: {},
      onFatal: error => {
        throw error
      },
      ...options,
    })
  let server: RunningServer | undefined = await start()
  const {firstPassword} = server
  let url = server.urls[0] as string
  const stop = async () => {
    const running = server
    server = undefined
    await running?.stop(1_000)
  }
  onTestFinished(stop)
  const adminToken = (await readFile(join(directory, localTokenFile), 'utf8')).trim()

  function call(method: string, path: string, {token, body, raw, headers, localAddress}: Call = {}): Promise<Reply> {
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    return new Promise((resolve, reject) => {
      const request = httpRequest(`${url}${path}`, {
        method,
        localAddress,
        agent: false,
        headers: {
          ...(content === undefined
            ? {}
            : {'content-type': 'application/json', 'content-length': Buffer.byteLength(content)}),
          ...(token === undefined ? {} : {authorization: `Bearer ${token}`}),
          ...headers,
        },
      })
      request.once('error', reject)
      request.once('response', response => {
        let text = ''
        response.setEncoding('utf8').on('data', piece => {
          text += piece
        })
        response.once('error', reject)
        response.once('end', () => {
          const isJson = response.headers['content-type']?.startsWith('application/json') ?? false
          const {statusCode: status = 0, headers} = response
          resolve({status, headers, text, json: isJson ? JSON.parse(text) : undefined})
        })
      })
      request.end(content)
    })
  }

  /** Calls an operation; its input stands in path, query or body as its route wants it. */
  function ask(name: OperationName, input: Record<string, unknown> = {}, rest: Call = {}): Promise<Reply> {
    const [method, path] = routes[name].split(' ') as [string, string]
    const members = {...input}
    const target = path.replace(/:(\w+)/g, (_, member: string) => {
      const value = String(members[member])
      delete members[member]
      return encodeURIComponent(value)
    })
    if (method === 'GET' || method === 'DELETE') {
      const query = new URLSearchParams()
      for (const [key, value] of Object.entries(members))
        for (const one of [value].flat()) query.append(key, String(one))
      return call(method, `${apiPrefix}${target}${query.size > 0 ? `?${query}` : ''}`, rest)
    }
    return call(method, `${apiPrefix}${target}`, {body: members, ...rest})
  }

  /** As ask, and fails unless the answer is a success; its body. */
  async function ok<T = Record<string, unknown>>(
    name: OperationName,
    input: Record<string, unknown> = {},
    rest: Call = {},
  ) {
    const reply = await ask(name, input, rest)
    if (reply.status >= 300) throw new Error(`${name} was answered with ${reply.status}: ${reply.text}`)
    return reply.json as T
  }

  /** Asks to join as a machine at that loopback address. */
  function joinRequest(hostname: string, localAddress?: string): Promise<JoinReply> {
    return ok<JoinReply>('nodes.join', {hostname}, {localAddress})
  }

  return {
    directory,
    firstPassword,
    ssh: server?.ssh,
    /** Of the file that commands on this machine read. */
    adminToken,
    call,
    ask,
    ok,
    joinRequest,
    stop,
    get url() {
      return url
    },
    /** Of all listeners. */
    get urls() {
      return server?.urls ?? []
    },
    /** All that the server has logged so far. */
    log: () => lines.join(''),
    async user(username: string, fields: Record<string, unknown> = {}): Promise<{id: string; password: string}> {
      const password = `Long-enough-${username}`
      const {id} = await ok<{id: string}>('users.create', {username, password, ...fields}, {token: adminToken})
      return {id, password}
    },
    async login(username: string, password: string, localAddress?: string): Promise<string> {
      return (await ok<{token: string}>('auth.login', {username, password}, {localAddress})).token
    },
    /** A machine that joined, was admitted and has its key. */
    async node(hostname: string): Promise<JoinReply & {nodeId: string; nodeKey: string}> {
      const asked = await joinRequest(hostname)
      await ok('nodes.approve', {node: asked.code}, {token: adminToken})
      const headers = {'x-join-secret': asked.pollSecret}
      const {nodeId, nodeKey} = await ok<{nodeId: string; nodeKey: string}>(
        'nodes.joinStatus',
        {code: asked.code},
        {headers},
      )
      return {...asked, nodeId, nodeKey}
    },
    /** Ends the server, lets the work look at or change its store, and starts it again on another port. */
    async whileStopped<T>(work: (store: Awaited<ReturnType<typeof openStore>>) => Promise<T>): Promise<T> {
      await stop()
      const result = await inStore(directory, work)
      server = await start()
      url = server.urls[0] as string
      return result
    },
    /** Ends the server for good; every audit row, oldest first. */
    async stopAndReadAudit(): Promise<AuditEntry[]> {
      await stop()
      return readAudit(directory)
    },
  }
}

/** So many simulated machines over real links, online, until the running test ends. */
export async function simulatedFleet(plane: ControlPlane, {nodes = 1, gpus = 2} = {}): Promise<void> {
  const stop = new AbortController()
  const input = {uses: nodes, autoApprove: true, name: `fleet-${nodes}`}
  const {secret: joinToken} = await plane.ok<{secret: string}>('joinTokens.create', input, {token: plane.adminToken})
  let up = 0
  const running = simulate({
    server: plane.url,
    ...{joinToken, nodes, gpus, beatMs: 500},
    namePrefix: 'sim',
    logger: createLogger({level: 'silent'}),
    signal: stop.signal,
    onProgress: progress => {
      up = progress.up
    },
  })
  onTestFinished(async () => {
    stop.abort()
    await running
  })
  await eventually(() => up === nodes, {withinMs: 10_000, what: 'the simulated fleet'})
}

/** Every audit row of a server that was stopped, oldest first. */
export async function readAudit(directory: string): Promise<AuditEntry[]> {
  return (await inStore(directory, store => store.audit.list(100_000))).reverse()
}

async function inStore<T>(
  directory: string,
  work: (store: Awaited<ReturnType<typeof openStore>>) => Promise<T>,
): Promise<T> {
  const store = await openStore({
    at: join(directory, 'server.db'),
    onFatal: error => {
      throw error
    },
  })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** Runs the work for every item, so many at once. */
export async function inParallel<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index] as T, index)
    }
  }
  await Promise.all(Array.from({length: Math.min(atOnce, items.length)}, worker))
  return results
}

/** The middle one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
