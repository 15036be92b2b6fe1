import {createSigner, createVerifier, TokenError} from 'fast-jwt'

/** Clocks of server and reader may differ by so much. */
const leewayMs = 30_000
const requiredClaims = ['sub', 'uid', 'username', 'role', 'ver', 'jti', 'iat', 'exp', 'iss', 'aud']
/** A checked token is not checked again for so long; its own end is always looked at. */
const cacheSize = 5_000

export interface TokenSettings {
  /** 32 random bytes or more each. The first signs; all are accepted, so that a key can be replaced without logging all out. */
  keys: readonly string[]
  issuer: string
  audience: string
}

/** JSON Web Tokens with HS256 and nothing else (security T7): no other algorithm, no `kid`, all claims required. */
export class Tokens<Claims extends object> {
  readonly #sign: (claims: Claims) => string
  readonly #verifiers: ((token: string) => Claims)[]

  constructor({keys, issuer, audience}: TokenSettings) {
    const [first] = keys
    if (!first || keys.some(key => Buffer.byteLength(key) < 32))
      throw new RangeError('A token key needs 32 bytes or more.')
    const sign = createSigner({algorithm: 'HS256', key: first, mutatePayload: false})
    this.#sign = claims => sign(claims as Record<string, unknown>)
    this.#verifiers = keys.map(key =>
      createVerifier({
        algorithms: ['HS256'],
        key,
        allowedIss: issuer,
        allowedAud: audience,
        requiredClaims,
        clockTolerance: leewayMs,
        checkTyp: 'JWT',
        cache: cacheSize,
      }),
    )
  }

  sign(claims: Claims): string {
    return this.#sign(claims)
  }

  verify(token: string): {claims: Claims} | {refused: 'invalid' | 'expired'} {
    if (!hasPlainHeader(token)) return {refused: 'invalid'}
    let refused: 'invalid' | 'expired' = 'invalid'
    for (const verify of this.#verifiers) {
      try {
        return {claims: verify(token)}
      } catch (error) {
        if (error instanceof TokenError && error.code === TokenError.codes.expired) refused = 'expired'
      }
    }
    return {refused}
  }
}

/** Exactly the header that we write: nothing in it can name another key or algorithm. */
function hasPlainHeader(token: string): boolean {
  if (token.length > 4_096) return false
  const [head = '', , , extra] = token.split('.')
  if (extra !== undefined) return false
  try {
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>
    const known = Object.keys(header).every(name => name === 'alg' || name === 'typ')
    return known && header.alg === 'HS256' && header.typ === 'JWT'
  } catch {
    return false
  }
}
