import type {Role, Scope} from '../contract/schemas/auth.ts'

/** Bounds of the calls of models with one credential; null = the server's own. */
export interface InferenceLimits {
  requestsPerMinute: number | null
  concurrency: number | null
}

/** Who asks, as found from the credential of the call. */
export interface Caller {
  id: string
  username: string
  role: Role
  /** `read` alone: only operations that change nothing; `inference` alone: only calls of models. */
  scopes: readonly Scope[]
  /** Of an API token: its own bounds for calls of models. */
  limits?: InferenceLimits
  credential: 'login' | 'token'
  /** Of an API token: its id; of a login: the token's jti. */
  credentialId: string
  /** SSH key that opened the door. */
  keyId?: string
  expiresAt: string | null
  /** Of a login: from its making to its end. */
  lifeSeconds?: number
  requestId: string
  /** Address of the TCP peer. */
  address: string
  /** Header Idempotency-Key, at most 128 characters. */
  idempotencyKey?: string
  /** Header X-Gpuctl-Apply-Set: what this call makes is marked as part of that set of files. */
  applySet?: string
  /** Wants to know what would happen: its first change is tried and rolled back (Rehearsed). */
  rehearses?: boolean
}

const ladder: readonly Role[] = ['viewer', 'user', 'node_admin', 'super_admin']

export function hasRole(caller: {role: Role}, needed: Role): boolean {
  return ladder.indexOf(caller.role) >= ladder.indexOf(needed)
}

/** `write` holds the other scopes. */
export function hasScope(caller: {scopes: readonly Scope[]}, needed: Scope): boolean {
  return caller.scopes.includes(needed) || caller.scopes.includes('write')
}

/** Sees what belongs to others. */
export function seesAll(caller: {role: Role}): boolean {
  return caller.role === 'super_admin'
}
