import {createHmac} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'

/** Every way by which a login token may come in, of all families (wire.md 6.1, item 6). */
const ways = {
  'Bearer, native': {path: '/gpuctl/v1/auth/whoami', carry: bearer},
  'Bearer, document 004': {path: '/api/gpu-claims', carry: bearer},
  'Bearer, document 003': {path: '/api/v1/nodes/', carry: bearer},
  'x-token, document 002': {
    path: '/instance/getInstanceList',
    carry: (token: string) => ({headers: {'x-token': token}, query: ''}),
  },
  'X-API-Key, inference': {path: '/v1/models', carry: (token: string) => ({headers: {'x-api-key': token}, query: ''})},
  '?token=, streams of document 003': {
    path: '/api/v1/metrics/nodes/stats/stream',
    carry: (token: string) => ({headers: {}, query: `?token=${encodeURIComponent(token)}`}),
    isStream: true,
  },
} satisfies Record<string, Way>

interface Way {
  path: string
  carry(token: string): {headers: Record<string, string>; query: string}
  isStream?: true
}

function bearer(token: string) {
  return {headers: {authorization: `Bearer ${token}`}, query: ''}
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const plain = {alg: 'HS256', typ: 'JWT'}

/** Tokens that must open nothing; those that a thief of the signing key could make are among them, where the server still has a say. */
async function badTokens(plane: ControlPlane): Promise<[string, string][]> {
  const key = (await readFile(join(plane.directory, 'token-keys'), 'utf8')).trim()
  const ann = await plane.user('ann', {role: 'node_admin'})
  const good = await plane.login('ann', ann.password)
  const [head = '', body = '', signature = ''] = good.split('.')
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString())
  const sign = (header: object, content: object, hash = 'sha256', by = key) => {
    const text = `${part(header)}.${part(content)}`
    return `${text}.${createHmac(hash, by).update(text).digest('base64url')}`
  }
  const revoked = await plane.login('ann', ann.password)
  await plane.ok('auth.logout', {}, {token: revoked})
  const bob = await plane.user('bob', {role: 'node_admin'})
  const beforeChange = await plane.login('bob', bob.password)
  await plane.ok('users.update', {id: 'bob', password: 'another long one'}, {token: plane.adminToken})
  await plane.user('eve', {role: 'node_admin'})
  const disabled = await plane.login('eve', 'Long-enough-eve')
  await plane.ok('users.update', {id: 'eve', enabled: false}, {token: plane.adminToken})
  const {nodeKey} = await plane.node('gpu-1')
  const {secret: joinToken} = await plane.ok<{secret: string}>('joinTokens.create', {}, {token: plane.adminToken})
  const {secret: invitation} = await plane.ok<{secret: string}>('users.invite', {}, {token: plane.adminToken})
  const {secret: apiToken, id} = await plane.ok<{secret: string; id: string}>(
    'tokens.create',
    {name: 'short'},
    {token: good},
  )
  await plane.ok('tokens.revoke', {id}, {token: good})
  const now = Math.floor(Date.now() / 1000)

  return [
    ['no algorithm', `${part({...plain, alg: 'none'})}.${body}.`],
    ['no algorithm, other case', `${part({...plain, alg: 'nOnE'})}.${body}.`],
    ['no algorithm, with the old signature', `${part({...plain, alg: 'none'})}.${body}.${signature}`],
    ['an empty algorithm', `${part({...plain, alg: ''})}.${body}.${signature}`],
    ['another hash', sign({...plain, alg: 'HS512'}, claims, 'sha512')],
    ['another hash under our name', sign(plain, claims, 'sha384')],
    ['a public key algorithm', sign({...plain, alg: 'RS256'}, claims)],
    ['a kid that is a path', sign({...plain, kid: '../../../../dev/null'}, claims)],
    ['a kid, signed with nothing', sign({...plain, kid: '/dev/null'}, claims, 'sha256', ' ')],
    ['a key of its own', sign({...plain, jwk: {kty: 'oct', k: 'AA'}}, claims)],
    ['an address of keys', sign({...plain, jku: 'http://127.0.0.1/keys'}, claims)],
    ['a certificate', sign({...plain, x5u: 'http://127.0.0.1/cert'}, claims)],
    ['crit', sign({...plain, crit: ['exp']}, claims)],
    ['another type', sign({...plain, typ: 'at+jwt'}, claims)],
    ['no type', sign({alg: 'HS256'}, claims)],
    ['another key', sign(plain, claims, 'sha256', 'x'.repeat(43))],
    ['another role, old signature', `${head}.${part({...claims, role: 'super_admin'})}.${signature}`],
    ['another user, old signature', `${head}.${part({...claims, sub: 'admin'})}.${signature}`],
    ['no signature', `${head}.${body}.`],
    ['two parts', `${head}.${body}`],
    ['four parts', `${good}.${signature}`],
    ['half a signature', `${head}.${body}.${signature.slice(0, 20)}`],
    ['a longer signature', `${good}AAAA`],
    ['another first byte', `${good[0] === 'e' ? 'f' : 'e'}${good.slice(1)}`],
    ['over', sign(plain, {...claims, exp: now - 31, iat: now - 3600})],
    ['of the future', sign(plain, {...claims, nbf: now + 3600})],
    ['a time that is text', sign(plain, {...claims, exp: 'never'})],
    ...['sub', 'uid', 'username', 'role', 'ver', 'jti', 'iat', 'exp', 'iss', 'aud'].map((name): [string, string] => [
      `no ${name}`,
      sign(plain, Object.fromEntries(Object.entries(claims).filter(([member]) => member !== name))),
    ]),
    ['another server', sign(plain, {...claims, iss: '00000000-0000-4000-8000-000000000000'})],
    ['another audience', sign(plain, {...claims, aud: 'node'})],
    ['nobody', sign(plain, {...claims, sub: 'nobody'})],
    ['the number of somebody else', sign(plain, {...claims, uid: 1})],
    ['an older version', sign(plain, {...claims, ver: 0})],
    ['a newer version', sign(plain, {...claims, ver: claims.ver + 1})],
    ['logged out', revoked],
    ['older than the password', beforeChange],
    ['of a disabled account', disabled],
    ['a node key', nodeKey],
    ['a join token', joinToken],
    ['an invitation', invitation],
    ['a revoked API token', apiToken],
    ['an API token by guess', `gpt_${'A'.repeat(43)}`],
    ['nothing but a prefix', 'gpt_'],
    ['a word', 'admin'],
    ['very long', 'a'.repeat(6_000)],
  ]
}

describe('T7: a login token', () => {
  test('is refused in each of fifty bad forms, by whichever way it comes, and taken in its good form by all', async () => {
    const plane = await controlPlane()
    const bad = await badTokens(plane)
    expect(bad.length).toBeGreaterThanOrEqual(40)
    expect(new Set(bad.map(([, token]) => token)).size).toBe(bad.length)
    const good = await plane.login('ann', 'Long-enough-ann')

    const opened: string[] = []
    for (const [name, way] of Object.entries<Way>(ways)) {
      for (const [what, token] of bad) {
        const {headers, query} = way.carry(token)
        const {status} = await plane.call('GET', `${way.path}${query}`, {headers})
        if (status !== 401) opened.push(`${name}: ${what} → ${status}`)
      }
      const {headers, query} = way.carry(good)
      if (way.isStream) {
        const cut = AbortSignal.timeout(10_000)
        const answer = await fetch(`${plane.url}${way.path}${query}`, {headers, signal: cut})
        expect(answer.status, name).toBe(200)
        await answer.body?.cancel()
      } else expect((await plane.call('GET', way.path, {headers})).status, name).toBe(200)
    }
    expect(opened).toEqual([])
  })

  test('T22: is not read from cookies, from a form of the query that is another family’s, or from a header that is none', async () => {
    const plane = await controlPlane()
    await plane.user('ann', {role: 'node_admin'})
    const good = await plane.login('ann', 'Long-enough-ann')
    const places: [string, Record<string, string>][] = [
      ...['token', 'x-token', 'Authorization', 'session', 'jwt', 'access_token'].map(
        (name): [string, Record<string, string>] => ['', {cookie: `${name}=${good}`}],
      ),
      ['', {cookie: `token=Bearer ${good}`}],
      [`?access_token=${good}`, {}],
      [`?x-token=${good}`, {}],
      ['', {'proxy-authorization': `Bearer ${good}`}],
      ['', {'x-auth-token': good}],
    ]
    for (const {path} of Object.values<Way>(ways)) {
      for (const [query, headers] of places) {
        const {status} = await plane.call('GET', `${path}${query}`, {headers})
        expect({path, query: query.slice(0, 10), headers: Object.keys(headers), status}).toMatchObject({status: 401})
      }
    }
    for (const {path, isStream} of Object.values<Way>(ways)) {
      if (isStream) continue
      expect((await plane.call('GET', `${path}?token=${good}`)).status, path).toBe(401)
    }
  })
})
