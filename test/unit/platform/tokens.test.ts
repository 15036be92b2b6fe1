import {createHmac} from 'node:crypto'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {Tokens} from '../../../src/platform/tokens.ts'
import {KeyVault} from '../../../src/platform/vault.ts'

const key = 'k'.repeat(43)
const settings = {keys: [key], issuer: 'gpuctl', audience: 'api'}
const seconds = () => Math.floor(Date.now() / 1000)
const claims = () => ({
  ...{sub: 'ann', uid: 7, username: 'ann', role: 'user', authorityId: 0, ver: 1, jti: 'j1'},
  ...{iat: seconds(), exp: seconds() + 600, iss: 'gpuctl', aud: 'api'},
})

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token made by hand, signed with HMAC of the given hash. */
function forge(header: object, body: object, signingKey = key, hash = 'sha256'): string {
  const text = `${part(header)}.${part(body)}`
  return `${text}.${createHmac(hash, signingKey).update(text).digest('base64url')}`
}

describe('T7: login tokens', () => {
  test('what was signed is read back', () => {
    const tokens = new Tokens<ReturnType<typeof claims>>(settings)
    expect(tokens.verify(tokens.sign(claims()))).toMatchObject({claims: {username: 'ann', ver: 1}})
    expect(tokens.verify(forge({alg: 'HS256', typ: 'JWT'}, claims()))).toMatchObject({claims: {username: 'ann'}})
  })

  const without = (name: string) => Object.fromEntries(Object.entries(claims()).filter(([key]) => key !== name))
  const plain = {alg: 'HS256', typ: 'JWT'}
  const bad: [string, () => string][] = [
    ['no algorithm', () => `${part({alg: 'none', typ: 'JWT'})}.${part(claims())}.`],
    ['no algorithm, other case', () => `${part({alg: 'NoNe', typ: 'JWT'})}.${part(claims())}.`],
    ['another hash', () => forge({alg: 'HS512', typ: 'JWT'}, claims(), key, 'sha512')],
    ['a public key algorithm', () => forge({alg: 'RS256', typ: 'JWT'}, claims())],
    ['a kid', () => forge({...plain, kid: '../../etc/passwd'}, claims())],
    ['crit', () => forge({...plain, crit: ['x']}, claims())],
    ['a jwk in the header', () => forge({...plain, jwk: {kty: 'oct', k: 'AA'}}, claims())],
    ['another type', () => forge({alg: 'HS256', typ: 'at+jwt'}, claims())],
    ['another key', () => forge(plain, claims(), 'x'.repeat(43))],
    ['another issuer', () => forge(plain, {...claims(), iss: 'evil'})],
    ['another audience', () => forge(plain, {...claims(), aud: 'node'})],
    ['from the future', () => forge(plain, {...claims(), nbf: seconds() + 3600})],
    ['empty', () => ''],
    ['four parts', () => `${forge(plain, claims())}.x`],
    ['very long', () => 'a'.repeat(1_000_000)],
    ...['sub', 'uid', 'username', 'role', 'ver', 'jti', 'iat', 'exp', 'iss', 'aud'].map(
      (name): [string, () => string] => [`no ${name}`, () => forge(plain, without(name))],
    ),
  ]

  test.each(bad)('%s is refused', (_, make) => {
    expect(new Tokens(settings).verify(make())).toEqual({refused: 'invalid'})
  })

  test('an old one is expired, with a leeway of 30 s', () => {
    const tokens = new Tokens(settings)
    expect(tokens.verify(forge(plain, {...claims(), exp: seconds() - 60}))).toEqual({refused: 'expired'})
    expect(tokens.verify(forge(plain, {...claims(), exp: seconds() - 10}))).toHaveProperty('claims')
  })

  test('after a change of keys the former one is still read, and a dropped one is not', () => {
    const old = new Tokens(settings).sign(claims())
    const next = 'n'.repeat(43)
    expect(new Tokens({...settings, keys: [next, key]}).verify(old)).toHaveProperty('claims')
    expect(new Tokens({...settings, keys: [next]}).verify(old)).toEqual({refused: 'invalid'})
  })

  test('no changed token is taken', () => {
    const tokens = new Tokens(settings)
    const good = tokens.sign(claims())
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({min: 1, max: 127}), (at, by) => {
        const changed = good.slice(0, at) + String.fromCharCode((good.charCodeAt(at) + by) % 128) + good.slice(at + 1)
        const sameBytes = changed
          .split('.')
          .every((text, i) => Buffer.from(text, 'base64url').equals(Buffer.from(good.split('.')[i] ?? '', 'base64url')))
        if (!sameBytes) expect(tokens.verify(changed)).toEqual({refused: 'invalid'})
      }),
      {numRuns: 5_000},
    )
  })
})

describe('the vault', () => {
  const vault = new KeyVault(Buffer.alloc(32, 7).toString('base64url'))

  test('opens what it sealed, in its own place only, and never seals alike', async () => {
    const sealed = await vault.seal('secret', 'nodes:1:key')
    expect(await vault.open(sealed, 'nodes:1:key')).toBe('secret')
    expect(sealed).not.toContain('secret')
    expect(await vault.seal('secret', 'nodes:1:key')).not.toBe(sealed)
    await expect(vault.open(sealed, 'nodes:2:key')).rejects.toThrow()
    await expect(vault.open(`${sealed.slice(0, -2)}AA`, 'nodes:1:key')).rejects.toThrow()
  })
})
