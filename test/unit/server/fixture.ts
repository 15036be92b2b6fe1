import {request as httpRequest, type IncomingHttpHeaders} from 'node:http'
import type {FastifyInstance} from 'fastify'
import {pino} from 'pino'
import {contract} from '../../../src/contract/contract.ts'
import type {Operation} from '../../../src/contract/operation.ts'
import {type OperationName, routes} from '../../../src/contract/routes.ts'
import type {Role} from '../../../src/contract/schemas/auth.ts'
import type {NodeStats} from '../../../src/contract/schemas/nodes.ts'
import type {Event} from '../../../src/contract/schemas/server.ts'
import {problem} from '../../../src/domain/errors.ts'
import type {Services} from '../../../src/domain/services/services.ts'
import {type AppParts, createApp} from '../../../src/server/app.ts'
import {close, listen} from '../../../src/server/listen.ts'
import {sampleOf} from './samples.ts'

export const tokens: Record<Role, string> = {
  viewer: 'viewer-token',
  user: 'user-token',
  node_admin: 'node-admin-token',
  super_admin: 'admin-token',
}
export const readOnlyToken = 'read-token'
export const nodeKey = 'node-key'

export interface Memory {
  services: Services
  calls: {name: string; input: unknown; asker: unknown}[]
  /** Makes an operation fail or answer otherwise. */
  answers: Map<OperationName, (input: never) => unknown>
  revoked: Set<string>
  tickets: Map<string, string>
  happened: Event[]
  emit: (type: string, kind?: Event['kind'], objectId?: string) => Event
  nodes: NodeStats[]
  readingsTaken: number
}

/** The services' port in memory, with samples of the contract as answers: just enough to see what the server does. */
export function memoryServices(): Memory {
  const listeners = new Set<(event: Event) => void>()
  const memory: Memory = {
    services: {} as Services,
    calls: [],
    answers: new Map(),
    revoked: new Set(),
    tickets: new Map(),
    happened: [],
    emit: (type, kind = 'claim', objectId = 'c1') => {
      const number = memory.happened.length + 1
      const at = new Date(0).toISOString()
      const event = {number, at, kind, objectId, objectName: objectId, type, message: '', actor: 'system'}
      memory.happened.push(event)
      for (const listener of listeners) listener(event)
      return event
    },
    nodes: [sampleOf(contract['nodes.stats'].output) as NodeStats],
    readingsTaken: 0,
  }
  const areas: Record<string, Record<string, unknown>> = {}
  for (const name of Object.keys(routes) as OperationName[]) {
    const [area, method] = name.split('.') as [string, string]
    areas[area] ??= {}
    areas[area][method] = async (input: never, asker: unknown) => {
      memory.calls.push({name, input, asker})
      const answer = memory.answers.get(name)
      return answer ? answer(input) : sampleOf((contract[name] as Operation).output)
    }
  }
  Object.assign(areas.auth as object, {
    authenticate: async (credential: string) => {
      const role = (Object.keys(tokens) as Role[]).find(one => tokens[one] === credential)
      if (memory.revoked.has(credential)) throw problem('token_invalid', {})
      if (credential === 'expired-token') throw problem('token_expired', {})
      if (credential === readOnlyToken) return identityOf('super_admin', ['read'])
      if (!role) throw problem('token_invalid', {})
      return identityOf(role, ['read', 'write'])
    },
    redeemTicket: async (ticket: string, path: string) => {
      if (memory.tickets.get(ticket) !== path) throw problem('token_invalid', {})
      memory.tickets.delete(ticket)
      return identityOf('viewer', ['read'])
    },
  } satisfies Partial<Services['auth']>)
  Object.assign(areas.nodes as object, {
    authenticate: async (key: string) => {
      if (key !== nodeKey) throw problem('token_invalid', {})
      return {id: 'n1', name: 'node-1', isApproved: true}
    },
    beat: async (nodeId: string, beat: unknown) => {
      memory.calls.push({name: 'nodes.beat', input: beat, asker: nodeId})
    },
    mine: async () => undefined,
    machine: () => undefined,
    readings: () => {
      memory.readingsTaken++
      return memory.nodes
    },
    reading: (nodeId: string) => memory.nodes.find(({id}) => id === nodeId),
    resolve: async (reference: string) => {
      const found = memory.nodes.find(({id, name}) => id === reference || name === reference)
      if (!found) throw problem('not_found', {kind: 'node', name: reference})
      return found
    },
  } satisfies Partial<Services['nodes']>)
  Object.assign(areas.events as object, {
    list: async ({after, limit = 100, kind}: {after?: number; limit?: number; kind?: string}) => {
      const fitting = memory.happened.filter(
        one => (kind === undefined || one.kind === kind) && one.number > (after ?? 0),
      )
      return after === undefined ? fitting.slice(-limit) : fitting.slice(0, limit)
    },
    subscribe: (listener: (event: Event) => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    visible: async ({type}: Event) => type !== 'Secret',
  } satisfies Partial<Services['events']>)
  memory.services = areas as unknown as Services
  return memory
}

function identityOf(role: Role, scopes: ('read' | 'write')[]) {
  const credential = 'token' as const
  return {id: `id-of-${role}`, username: role, role, scopes, credential, credentialId: `t-${role}`, expiresAt: null}
}

export interface World extends Memory {
  app: FastifyInstance
  port: number
  log: string[]
  call: (target: string, options?: CallOptions) => Promise<Reply>
  stop: () => Promise<void>
}

export interface CallOptions {
  method?: string
  token?: string
  headers?: Record<string, string>
  body?: unknown
  /** Sent as it is. */
  raw?: string | Buffer
}

export interface Reply {
  status: number
  headers: IncomingHttpHeaders
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of all shapes
  json: any
}

/** A whole server on a free port of 127.0.0.1. */
export async function startWorld(parts: Partial<AppParts> = {}): Promise<World> {
  const memory = memoryServices()
  const log: string[] = []
  const logger = pino({level: 'info'}, {write: (line: string) => void log.push(line)})
  const acceptLink: AppParts['acceptLink'] = (socket, _, {name}) =>
    socket.end(`HTTP/1.1 101 Switching Protocols\r\n\r\nwelcome ${name}`)
  const inference: AppParts['inference'] = {
    call: async ({model}) => {
      throw problem('model_unknown', {model})
    },
  }
  const program: AppParts['program'] = async () => {
    throw problem('internal', {})
  }
  const app = await createApp({
    program,
    services: memory.services,
    logger,
    version: '1.2.3',
    acceptLink,
    inference,
    ...parts,
  })
  const [bound] = await listen(app, [{host: '127.0.0.1', port: 0}])
  const port = bound?.port as number
  const call: World['call'] = (target, options) => exchange(port, target, options)
  return Object.assign(memory, {app, port, log, call, stop: () => close(app, {graceMs: 500})})
}

function exchange(port: number, target: string, options: CallOptions = {}): Promise<Reply> {
  const {method = 'GET', token, headers = {}, body, raw} = options
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      port,
      host: '127.0.0.1',
      path: target,
      method,
      agent: false,
      headers: {
        ...(token ? {authorization: `Bearer ${token}`} : {}),
        ...(payload === undefined
          ? {}
          : {'content-type': 'application/json', 'content-length': Buffer.byteLength(payload)}),
        ...headers,
      },
    })
    request.on('error', reject)
    request.on('response', response => {
      const pieces: Buffer[] = []
      response.on('data', piece => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString()
        const isJson = text !== '' && response.headers['content-type']?.includes('json')
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: isJson ? JSON.parse(text) : undefined,
        })
      })
    })
    request.end(payload)
  })
}
