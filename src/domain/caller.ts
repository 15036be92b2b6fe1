import type {Role} from '../contract/schemas/auth.ts'

/** Who asks, as found from the credential of the call. */
export interface Caller {
  id: string
  username: string
  role: Role
  /** `read` alone: only operations that change nothing. */
  scopes: readonly ('read' | 'write')[]
  credential: 'login' | 'token'
  /** Of an API token: its id; of a login: the token's jti. */
  credentialId: string
  expiresAt: string | null
  requestId: string
  /** Address of the TCP peer. */
  address: string
  /** Header Idempotency-Key, at most 128 characters. */
  idempotencyKey?: string
}

const ladder: readonly Role[] = ['viewer', 'user', 'node_admin', 'super_admin']

export function hasRole(caller: {role: Role}, needed: Role): boolean {
  return ladder.indexOf(caller.role) >= ladder.indexOf(needed)
}

/** Sees what belongs to others. */
export function seesAll(caller: {role: Role}): boolean {
  return caller.role === 'super_admin'
}
