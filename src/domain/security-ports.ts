import type {Role} from '../contract/schemas/auth.ts'

/** Argon2id, or whatever is as strong; verifying costs about 10 ms on purpose. */
export interface Passwords {
  hash(password: string): Promise<string>
  verify(hash: string, password: string): Promise<boolean>
  /** Takes as long as verify: for users that do not exist (security T10). */
  verifyDummy(password: string): Promise<unknown>
}

export interface Secrets {
  /** Cryptographically strong. */
  random(bytes: number): Uint8Array
  /** Hex. */
  sha256(text: string): string
  uuid(): string
}

/** What a login token says. `sub` is the user name and `uid` the user's number, as the dialects want it (wire.md 6.1). */
export interface SessionClaims {
  sub: string
  uid: number
  username: string
  role: Role
  authorityId: number
  ver: number
  jti: string
  /** Seconds since 1970. */
  iat: number
  exp: number
  iss: string
  aud: string
}

/** Signs and checks login tokens: HS256 only, all claims required, leeway 30 s (security T7). */
export interface SessionTokens {
  sign(claims: SessionClaims): string
  verify(token: string): {claims: SessionClaims} | {refused: 'invalid' | 'expired'}
}

/** Keeps key material unreadable in the store (security T14). `context` says where it stands and is checked on opening. */
export interface Vault {
  seal(plain: string, context: string): Promise<string>
  open(sealed: string, context: string): Promise<string>
}

/** Draws digits so that a person can read them. */
export interface CaptchaPainter {
  /** A picture of 240 × 80 as a `data:` URL. */
  draw(digits: string): Promise<string>
}
/** Asks a Docker Engine whether it answers, for 10 s at most. Never throws, and tells nothing else of what is there (T21). */
export type EngineProbe = (engine: {
  address: string
  ca: string
  cert: string
  key: string
}) => Promise<'connected' | 'auth_failed' | 'unreachable'>
