import type {FastifyReply, FastifyRequest} from 'fastify'
import type {Access, Transport} from '../contract/operation.ts'
import type {Scope} from '../contract/schemas/auth.ts'
import {type Caller, hasRole, hasScope} from '../domain/caller.ts'
import {problem} from '../domain/errors.ts'
import type {Peer, Services} from '../domain/services/services.ts'
import {isLoopbackAddress} from '../platform/dial-guard.ts'

/** Who asks where nobody needs an account. */
export interface Guest extends Peer {
  /** Header X-Join-Secret. */
  joinSecret?: string
}

/** A node that showed its key. */
export interface NodeIdentity {
  id: string
  name: string
  /** Before that only routes with `waitingToo` take anything from it. */
  isApproved: boolean
}

type Asker = Guest | NodeIdentity | Caller

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before the body is read; undefined only where no route was found. */
    asker: Asker | undefined
    /** Opens a stream's credential again while the stream lives; absent where it was a ticket. */
    credential: string | undefined
  }
  interface FastifyContextConfig {
    access?: Access
    transport?: Transport
    /** The route changes something though its method is GET. */
    changes?: boolean
    /** Of routes for nodes: taken also from one that waits for its approval. */
    waitingToo?: boolean
    /** What a token needs here, where it is neither of `read` and `write`. */
    scope?: Scope
  }
}

export type FindCredential = (request: FastifyRequest) => string | undefined

export function bearer(request: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
}

/**
 * The access check of every route that names who may call it. It runs before query and body are looked at, so that an
 * anonymous caller learns nothing but that he is anonymous. Throws login_required, token_*, role_too_low, scope_missing.
 */
export function accessCheck(services: Services, findCredential: FindCredential) {
  return async (request: FastifyRequest, _reply: FastifyReply): Promise<void> => {
    const {access, transport} = request.routeOptions.config
    if (access === undefined) return
    const peer = peerOf(request)
    const credential = findCredential(request)
    if (access === 'public') {
      const secret = request.headers['x-join-secret']
      request.asker = typeof secret === 'string' ? {...peer, joinSecret: secret.slice(0, 128)} : peer
      return
    }
    if (access === 'node') {
      if (!credential) throw problem('login_required', {})
      const node = await services.nodes.authenticate(credential)
      if (!node.isApproved && !request.routeOptions.config.waitingToo) {
        throw problem('node_not_approved', {name: node.name})
      }
      request.asker = node
      return
    }
    const ticket = transport === 'events' || transport === 'socket' ? takeTicket(request) : undefined
    if (!credential && !ticket) throw problem('login_required', {})
    const found = credential
      ? await services.auth.authenticate(credential, peer)
      : await services.auth.redeemTicket(ticket as string, pathOf(request))
    if (!hasRole(found, access)) throw problem('role_too_low', {needed: access, role: found.role})
    const {changes = request.method !== 'GET' || transport === 'socket'} = request.routeOptions.config
    const {scope = changes ? 'write' : 'read'} = request.routeOptions.config
    if (!hasScope(found, scope)) throw problem('scope_missing', {needed: scope})
    request.credential = credential
    request.asker = {...found, ...peer, ...idempotencyKeyOf(request), ...applySetOf(request)}
  }
}

function peerOf(request: FastifyRequest): Peer {
  return {address: addressOf(request), requestId: request.id}
}

/** Address of the TCP peer; an IPv4 one in its own form also on a double-stack socket. */
export function addressOf(request: FastifyRequest): string {
  // A request that was destroyed has no socket any more, whatever its type says.
  const socket: {remoteAddress?: string | undefined} | null = request.raw.socket
  return (socket?.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
}

/** From this machine itself: not what a proxy on it passes on for somebody else. */
export function isLocalCall(request: FastifyRequest): boolean {
  const {forwarded, 'x-forwarded-for': forwardedFor, 'x-real-ip': realIp, via} = request.headers
  const isPassedOn = [forwarded, forwardedFor, realIp, via].some(header => header !== undefined)
  return !isPassedOn && isLoopbackAddress(addressOf(request))
}

export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] as string
}

/**
 * A browser's EventSource and WebSocket set no headers: `?token=` holds a login token, or a one-time ticket. Tokens that live for
 * months are not taken from an address, where they would be kept (security T8).
 */
export function streamToken(request: FastifyRequest): string | undefined {
  const query = request.query as Record<string, unknown>
  const {token} = query
  delete query.token
  const known = bearer(request)
  if (known !== undefined || typeof token !== 'string' || token === '') return known
  if (token.startsWith('gps_')) query.ticket = token
  return token.startsWith('gps_') || token.startsWith('gpt_') ? undefined : token
}

/**
 * A browser's stream cannot set headers; its one-time ticket stands in the query (`ticket`, in foreign APIs `token`), and
 * is no input of the operation.
 */
function takeTicket(request: FastifyRequest): string | undefined {
  const query = request.query as Record<string, unknown>
  const {ticket, token} = query
  delete query.ticket
  if (typeof ticket === 'string' && ticket !== '') return ticket
  return typeof token === 'string' && token.startsWith('gps_') ? token : undefined
}

function idempotencyKeyOf(request: FastifyRequest): {idempotencyKey?: string} {
  const key = request.headers['idempotency-key']
  if (key === undefined) return {}
  if (typeof key === 'string' && /^[\x21-\x7e]{1,128}$/.test(key)) return {idempotencyKey: key}
  const fix = 'Give 1 to 128 visible ASCII characters.'
  throw problem('input_invalid', {field: 'Idempotency-Key', problem: 'has another form', fix})
}

function applySetOf(request: FastifyRequest): {applySet?: string} {
  const set = request.headers['x-gpuctl-apply-set']
  if (set === undefined) return {}
  if (typeof set === 'string' && /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(set)) return {applySet: set}
  const fix = 'Give a name: letters, digits, dot, dash and underscore; at most 63.'
  throw problem('input_invalid', {field: 'X-Gpuctl-Apply-Set', problem: 'has another form', fix})
}
