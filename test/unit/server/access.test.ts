import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {contract} from '../../../src/contract/contract.ts'
import type {Access, Operation} from '../../../src/contract/operation.ts'
import {apiPrefix, type OperationName, routes} from '../../../src/contract/routes.ts'
import type {Role} from '../../../src/contract/schemas/auth.ts'
import {nodeKey, readOnlyToken, startWorld, tokens, type World} from './fixture.ts'
import {sampleCall} from './samples.ts'

const ladder: readonly Role[] = ['viewer', 'user', 'node_admin', 'super_admin']
const operations = Object.keys(routes) as OperationName[]
const jsonOperations = operations.filter(name => ((contract[name] as Operation).transport ?? 'json') === 'json')

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

function callOf(name: OperationName) {
  const {method, target, body} = sampleCall(routes[name], (contract[name] as Operation).input)
  return {target: `${apiPrefix}${target}`, method, body}
}

describe.each(jsonOperations)('T18, roles: operation %s', name => {
  const {access, status = 200}: Operation = contract[name]

  test('answers exactly those who may call it', async () => {
    const {target, method, body} = callOf(name)
    const found: Record<string, number> = {}
    const callers: Record<string, string | undefined> = {...tokens, node: nodeKey, nobody: undefined}
    for (const [who, token] of Object.entries(callers)) {
      found[who] = (await world.call(target, {method, body, token})).status
    }
    expect(found).toEqual(Object.fromEntries(Object.keys(callers).map(who => [who, wanted(who, access, status)])))
  })
})

function wanted(who: string, access: Access, success: number): number {
  if (access === 'public') return success
  if (access === 'node') return who === 'node' ? success : 401
  if (who === 'nobody' || who === 'node') return 401
  return ladder.indexOf(who as Role) >= ladder.indexOf(access) ? success : 403
}

test('an anonymous caller gets 401 before anything of the call is looked at', async () => {
  for (const name of operations) {
    if ((contract[name] as Operation).access === 'public') continue
    const {target, method} = callOf(name)
    const raw = method === 'GET' ? undefined : '{"broken'
    const reply = await world.call(`${target.split('?')[0]}?nonsense=1`, {method, raw})
    expect([name, reply.status, reply.json.error.code]).toEqual([name, 401, 'login_required'])
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer/)
  }
})

test('T23: a foreign Host is refused on every route, the streams, the pages and what does not exist included', async () => {
  const targets = operations.map(callOf)
  for (const target of [
    '/healthz',
    '/openapi.json',
    '/swagger/index.html',
    '/metrics',
    '/nothing',
    `${apiPrefix}/link`,
  ]) {
    targets.push({target, method: 'GET', body: undefined})
  }
  for (const host of ['evil.test', '127.0.0.1.evil.test']) {
    for (const {target, method, body} of targets) {
      const reply = await world.call(target, {method, body, token: tokens.super_admin, headers: {host}})
      expect([target, reply.status, reply.json.error.code]).toEqual([target, 421, 'host_refused'])
    }
  }
})

test.each(['localhost', 'LOCALHOST:99', '[::1]:8888', '127.0.0.1', 'localhost.'])('Host %s is ours', async host => {
  expect((await world.call('/healthz', {headers: {host}})).status).toBe(200)
})

test('T23: calls that a browser makes for another site are refused', async () => {
  const own = `127.0.0.1:${world.port}`
  const call = (headers: Record<string, string>) => world.call('/healthz', {headers: {host: own, ...headers}})

  expect((await call({origin: 'https://evil.test'})).json.error.code).toBe('origin_refused')
  expect((await call({origin: 'null'})).status).toBe(403)
  expect((await call({origin: `http://127.0.0.1:${world.port + 1}`})).status).toBe(403)
  expect((await call({'sec-fetch-site': 'cross-site'})).status).toBe(403)
  expect((await call({origin: `http://${own}`, 'sec-fetch-site': 'same-origin'})).status).toBe(200)
})

test('a token that may only read is refused for every change, and for a terminal', async () => {
  for (const name of operations) {
    const {access, transport}: Operation = contract[name]
    const {target, method, body} = callOf(name)
    if (access === 'public' || access === 'node' || (method === 'GET' && transport !== 'socket')) continue
    const reply = await world.call(target, {method, body, token: readOnlyToken})
    expect([name, reply.json.error.code]).toEqual([name, 'scope_missing'])
  }
  expect((await world.call(`${apiPrefix}/claims`, {token: readOnlyToken})).status).toBe(200)
})

test.each([
  ['expired-token', 'token_expired'],
  ['nonsense', 'token_invalid'],
])('the token %s is refused as %s', async (token, code) => {
  const reply = await world.call(`${apiPrefix}/auth/whoami`, {token})

  expect([reply.status, reply.json.error.code]).toEqual([401, code])
})

test('a token in a cookie, in the query or with another scheme is no token', async () => {
  const token = tokens.super_admin
  const call = (query: string, headers: Record<string, string>) => world.call(`${apiPrefix}/nodes${query}`, {headers})

  expect((await call('', {cookie: `token=${token}`})).status).toBe(401)
  expect((await call(`?token=${token}`, {})).status).toBe(401)
  expect((await call(`?ticket=${token}`, {})).status).toBe(401)
  expect((await call('', {authorization: `Basic ${token}`})).status).toBe(401)
})

test('the caller, the node and the guest reach the service as they were found', async () => {
  await world.call(`${apiPrefix}/claims`, {
    method: 'POST',
    body: {image: 'busybox'},
    token: tokens.user,
    headers: {'idempotency-key': 'k-1', 'x-request-id': 'req-7'},
  })
  await world.call(`${apiPrefix}/nodes/join/XK7M2`, {headers: {'x-join-secret': 's3cret'}})

  const [submit, status] = world.calls.slice(-2)
  expect(submit).toMatchObject({
    name: 'claims.submit',
    input: {image: 'busybox'},
    asker: {username: 'user', requestId: 'req-7', idempotencyKey: 'k-1', address: '127.0.0.1'},
  })
  expect(status).toMatchObject({input: {code: 'XK7M2', pollSecret: 's3cret'}, asker: {address: '127.0.0.1'}})
})
