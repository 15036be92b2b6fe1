import {expect, test} from 'vitest'
import {rental} from '../../src/server/dialects/rental/index.ts'
import {rentalPlane} from './rental-plane.ts'

const ladder = ['viewer', 'user', 'node_admin', 'super_admin'] as const

/** Of every route one that answers with JSON, under each of its prefixes. */
const routes = rental.routes.filter(({transport}) => transport === undefined)
const guarded = routes.filter(({access}) => access !== 'public')

test('every route is there under both prefixes', () => {
  expect(guarded.length).toBeGreaterThan(25)
  for (const {path, also = []} of guarded) expect([path, ...also]).toContain(`/api/v1${path}`)
})

test('T18: every route refuses who has no token, and who has a lower role, before it looks at what is asked', async () => {
  const {server, call, login, adminToken} = await rentalPlane()
  const tokens = new Map<string, string>([['super_admin', adminToken]])
  for (const role of ladder.slice(0, 3)) {
    const {password} = await server.user(role, {role})
    tokens.set(role, (await login(role, password)).json.data.token)
  }

  for (const {method, path, access} of guarded) {
    const body = method === 'GET' ? {} : {raw: '{'}
    expect(await call(method, path, body), path).toMatchObject({status: 401, json: {code: 401, data: null}})
    for (const role of ladder) {
      const reply = await call(method, path, {...body, token: tokens.get(role)})
      const isAllowed = ladder.indexOf(role) >= ladder.indexOf(access as (typeof ladder)[number])
      if (isAllowed) expect([401, 403], `${role} ${path}`).not.toContain(reply.status)
      else expect(reply, `${role} ${path}`).toMatchObject({status: 403, json: {code: 403, data: null, msg: '权限不足'}})
    }
  }
})
