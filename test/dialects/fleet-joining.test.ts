import fc from 'fast-check'
import {describe, expect, onTestFinished, test, vi} from 'vitest'
import {inParallel} from '../support/control-plane.ts'
import {eventually} from '../support/wait.ts'
import {fleetPlane} from './fleet-plane.ts'

/** The requests of document 003, as they stand there. */
const joinRequest = {hostname: 'api.example.com', ip_address: '192.168.1.100', system_info: 'Ubuntu 22.04'}
const code = expect.stringMatching(/^[A-HJKMNP-Z2-9]{5}$/)

describe('the way in of document 003', () => {
  test('W4.1-1 W4.5-3: a node asks to join with the document’s request, and gets a code and a secret', async () => {
    const {call, server, adminToken} = await fleetPlane()

    const reply = await call('POST', '/nodes/join-request', {body: joinRequest})

    expect(reply.status).toBe(200)
    expect(reply.headers['cache-control']).toContain('no-store')
    expect(reply.json).toEqual({
      request_id: expect.stringMatching(/^\d+$/),
      registration_code: code,
      message: `Join request submitted. Give code ${reply.json.registration_code} to admin.`,
      poll_secret: expect.stringMatching(/^[\w-]{43}$/),
    })
    const [waiting] = await server.ok<Record<string, unknown>[]>('nodes.list', {}, {token: adminToken})
    expect(waiting).toMatchObject({hostname: 'api.example.com', claimedAddress: '192.168.1.100', os: 'Ubuntu 22.04'})
    const least = await call('POST', '/nodes/join-request/', {body: {hostname: 'b', ip_address: null, other: 1}})
    expect(least.status).toBe(200)
  })

  test('W4.1-1 T2: what is no host name is refused with its place, what is too large before it is read', async () => {
    const {call} = await fleetPlane()

    const missing = await call('POST', '/nodes/join-request', {body: {ip_address: '10.0.0.1'}})
    expect(missing.status).toBe(422)
    expect(missing.json).toEqual({detail: [{loc: ['body', 'hostname'], msg: 'Field required', type: 'missing'}]})
    for (const hostname of ['', 'a b', '-a', 'a'.repeat(254), 7]) {
      const reply = await call('POST', '/nodes/join-request', {body: {hostname}})
      expect([hostname, reply.status, reply.json.detail[0].loc]).toEqual([hostname, 422, ['body', 'hostname']])
    }
    const large = await call('POST', '/nodes/join-request', {body: {...joinRequest, other: 'x'.repeat(5_000)}})
    expect([large.status, large.json]).toEqual([413, {detail: expect.any(String)}])
  })

  test('T2: eight requests of one address may wait; the ninth is told when to try again', async () => {
    const {call} = await fleetPlane()
    const ask = (hostname: string, localAddress: string) =>
      call('POST', '/nodes/join-request', {body: {hostname}, localAddress})
    for (let count = 0; count < 8; count++) expect((await ask(`n-${count}`, '127.0.0.2')).status).toBe(200)

    const ninth = await ask('n-8', '127.0.0.2')
    expect([ninth.status, ninth.json]).toEqual([429, {detail: expect.any(String)}])
    expect(Number(ninth.headers['retry-after'])).toBeGreaterThan(0)
    expect((await ask('honest', '127.0.0.3')).status).toBe(200)
  })

  test.each([
    ['approve/{id}', (plane: Plane, asked: Asked) => plane.asAdmin('POST', `/nodes/approve/${asked.request_id}`)],
    [
      'register-by-code',
      (plane: Plane, asked: Asked) =>
        plane.asAdmin('POST', '/nodes/register-by-code', {body: {code: asked.registration_code}}),
    ],
  ])('W4.1-2 W4.2-4 W6.5-1: after %s the code buys the key once, and is gone', async (_, approve) => {
    const plane = await fleetPlane()
    const asked = (await plane.call('POST', '/nodes/join-request', {body: joinRequest})).json
    const poll = (text = asked.registration_code) => plane.call('GET', `/nodes/status/code/${encodeURIComponent(text)}`)
    expect((await poll()).json).toEqual({status: 'pending', api_key: null})

    const approved = await approve(plane, asked)
    expect(approved.json).toEqual({
      ...{id: Number(asked.request_id), hostname: 'api.example.com', ip_address: '192.168.1.100'},
      ...{uuid: expect.stringMatching(/^[0-9a-f-]{36}$/), status: 'active'},
      ...{storage_quota_gb: 0, storage_used_bytes: 0, max_retention_copies: 10, max_concurrent_backups: 2, stats: []},
    })

    const replies = await Promise.all(Array.from({length: 8}, () => poll(` ${asked.registration_code.toLowerCase()} `)))
    const keys = replies.filter(({status}) => status === 200)
    expect(keys.map(({json}) => json)).toEqual([{status: 'active', api_key: expect.stringMatching(/^gpn_/)}])
    expect(replies.filter(({status}) => status === 404)).toHaveLength(7)
    const again = await poll()
    expect([again.status, again.json]).toEqual([404, {detail: expect.any(String)}])
    const key = keys[0]?.json.api_key
    const body = {cpu_usage: 1, disk_usage: 2, active_backups: 0}
    expect((await plane.call('POST', '/stats/', {body, headers: {'x-api-key': key}})).status).toBe(200)
  })

  test('W4.1-2 R9 T1: the right secret gets the key, and again until the key is used; a wrong one looks like no code at all', async () => {
    const {call, asAdmin} = await fleetPlane()
    const asked = (await call('POST', '/nodes/join-request', {body: joinRequest})).json
    await asAdmin('POST', `/nodes/approve/${asked.request_id}`)
    const poll = (secret: string, text = asked.registration_code) =>
      call('GET', `/nodes/status/code/${text}`, {headers: {'x-join-secret': secret}})

    const wrong = await poll('wrong')
    const unknown = await poll('wrong', 'ZZZZZ')
    expect(wrong.status).toBe(404)
    expect(wrong.text.replace(asked.registration_code, 'ZZZZZ')).toBe(unknown.text)

    const first = (await poll(asked.poll_secret)).json.api_key
    const second = (await poll(asked.poll_secret)).json.api_key
    const report = (key: string) =>
      call('POST', '/stats/', {
        body: {cpu_usage: 1, disk_usage: 1, active_backups: 0},
        headers: {'x-api-key': key},
      })
    expect((await report(first)).status).toBe(403)
    expect((await report(second)).status).toBe(200)
    const third = await poll(asked.poll_secret)
    expect([third.status, third.json]).toEqual([403, {detail: expect.stringContaining('suspended')}])
    expect((await report(second)).status).toBe(403)
  })

  test('T1: the code alone buys nothing from another address, and nothing at all on a server that others reach', async () => {
    const local = await fleetPlane()
    const asked = (await local.call('POST', '/nodes/join-request', {body: joinRequest})).json
    await local.asAdmin('POST', `/nodes/approve/${asked.request_id}`)
    const path = `/nodes/status/code/${asked.registration_code}`
    const elsewhere = await local.call('GET', path, {localAddress: '127.0.0.9'})
    expect(elsewhere.json).toEqual({status: 'active', api_key: null})
    expect((await local.call('GET', path)).json.api_key).toMatch(/^gpn_/)

    const open = await fleetPlane({exposed: true})
    const there = (await open.call('POST', '/nodes/join-request', {body: joinRequest})).json
    await open.asAdmin('POST', `/nodes/approve/${there.request_id}`)
    const poll = () => open.call('GET', `/nodes/status/code/${there.registration_code}`)
    expect((await poll()).json.api_key).toBeNull()
    await open.server.ok('settings.set', {name: 'join.legacy_poll', value: 'same-ip'}, {token: open.adminToken})
    expect((await poll()).json.api_key).toMatch(/^gpn_/)
  })

  test('T1: that anybody gets a key by its code must be said twice; then it is still given once', async () => {
    const {call, server, asAdmin, adminToken: token} = await fleetPlane({exposed: true})
    const asked = (await call('POST', '/nodes/join-request', {body: joinRequest})).json
    await asAdmin('POST', `/nodes/approve/${asked.request_id}`)
    const poll = (headers = {}) =>
      call('GET', `/nodes/status/code/${asked.registration_code}`, {localAddress: '127.0.0.9', headers})
    const any = {name: 'join.legacy_poll', value: 'any'}

    const refused = await server.ask('settings.set', any, {token})
    expect(refused).toMatchObject({status: 400, json: {error: {code: 'input_invalid', details: {field: 'iKnow'}}}})
    expect((await poll()).json).toEqual({status: 'active', api_key: null})
    await server.ok('settings.set', {...any, iKnow: true}, {token})
    expect((await poll({'x-join-secret': 'wrong'})).status).toBe(404)
    const keys = await Promise.all(Array.from({length: 8}, async () => (await poll()).json.api_key))
    expect(keys.filter(key => /^gpn_/.test(key))).toHaveLength(1)
    expect((await poll()).status).toBe(404)
  })

  test('T1: who guesses codes is soon told nothing, and a node with its secret still gets its key', async () => {
    const {call, asAdmin} = await fleetPlane()
    const asked = (await call('POST', '/nodes/join-request', {body: joinRequest})).json
    await asAdmin('POST', `/nodes/approve/${asked.request_id}`)
    const guesses = await inParallel(
      Array.from({length: 40}, (_, index) => `ZZ${'23456789'[index % 8]}${'ABCDE'[index % 5]}9`),
      1,
      guess => call('GET', `/nodes/status/code/${guess}`, {localAddress: '127.0.0.7'}),
    )

    expect(guesses.filter(({status}) => status === 404)).toHaveLength(10)
    expect(guesses.filter(({status}) => status === 429)).toHaveLength(30)
    const own = await call('GET', `/nodes/status/code/${asked.registration_code}`, {
      ...{localAddress: '127.0.0.7', headers: {'x-join-secret': asked.poll_secret}},
    })
    expect(own.json.api_key).toMatch(/^gpn_/)
  })

  test('W4.1-3: the status of a request says its admission and never its key', async () => {
    const {call, asAdmin} = await fleetPlane()
    const asked = (await call('POST', '/nodes/join-request', {body: joinRequest})).json
    const look = () => call('GET', `/nodes/status/${asked.request_id}`)
    expect((await look()).json).toEqual({status: 'pending', api_key: null})
    await asAdmin('POST', `/nodes/approve/${asked.request_id}`)

    const headers = {'x-join-secret': asked.poll_secret}
    expect((await look()).json).toEqual({status: 'active', api_key: null})
    const withSecret = await call('GET', `/nodes/status/${asked.request_id}`, {headers})
    expect(withSecret.json).toEqual({status: 'active', api_key: null})
    expect((await call('GET', '/nodes/status/99999')).status).toBe(404)
    expect((await call('GET', '/nodes/status/nonsense')).status).toBe(422)
  })

  test('W4.1-4: a node that is not there cannot be approved, and a second approval changes nothing', async () => {
    const {call, asAdmin, user, login} = await fleetPlane()
    const asked = (await call('POST', '/nodes/join-request', {body: joinRequest})).json
    const path = `/nodes/approve/${asked.request_id}`
    const {password} = await user('ops', {role: 'node_admin'})
    const {access_token: token} = (await login('ops', password)).json

    expect([(await call('POST', path)).status, (await call('POST', path)).json]).toEqual([
      401,
      {detail: 'Not authenticated'},
    ])
    const low = await call('POST', path, {token})
    expect([low.status, low.json]).toEqual([403, {detail: "The user doesn't have enough privileges"}])
    const absent = await asAdmin('POST', '/nodes/approve/4711')
    expect([absent.status, absent.json]).toEqual([404, {detail: 'Node not found'}])
    expect((await asAdmin('POST', '/nodes/approve/x')).json.detail[0].loc).toEqual(['path', 'id'])
    const first = await asAdmin('POST', path, {raw: '', headers: {'content-type': 'application/json'}})
    expect(first.json.status).toBe('active')
    expect((await asAdmin('POST', `/nodes/approve/${first.json.uuid}/`)).json).toEqual(first.json)
  })

  test('W4.1-5 W4.5-2: by its code a node is approved from the query or the body, and its address is taken if given', async () => {
    const {call, asAdmin} = await fleetPlane()
    const join = async (hostname: string) =>
      (await call('POST', '/nodes/join-request', {body: {hostname, ip_address: '10.0.0.1'}})).json
    const [one, two] = [await join('one'), await join('two')]

    const short = await asAdmin('POST', '/nodes/register-by-code', {body: {code: 'ABCD'}})
    expect([short.status, short.json]).toEqual([400, {detail: expect.stringContaining('4 characters')}])
    const none = await asAdmin('POST', '/nodes/register-by-code?code=ZZZZZ')
    expect([none.status, none.json]).toEqual([404, {detail: expect.any(String)}])
    const missing = await asAdmin('POST', '/nodes/register-by-code', {body: {}})
    expect([missing.status, missing.json.detail[0].type]).toEqual([422, 'missing'])

    const wrong = await asAdmin('POST', `/nodes/register-by-code?code=${one.registration_code}&ip_address=999.9.9.9`)
    expect([wrong.status, wrong.json.detail[0].loc]).toEqual([422, ['query', 'ip_address']])
    const query = `?code=${one.registration_code.toLowerCase()}&ip_address=10.9.9.9`
    const byQuery = await asAdmin('POST', `/nodes/register-by-code${query}`)
    expect(byQuery.json).toMatchObject({hostname: 'one', status: 'active', ip_address: '10.9.9.9'})
    const byBody = await asAdmin('POST', '/nodes/register-by-code/', {body: {code: two.registration_code}})
    expect(byBody.json).toMatchObject({hostname: 'two', status: 'active', ip_address: '10.0.0.1'})
  })

  test('W4.2-2 T3: a host name that asks again gets a request of its own, and nothing of an active node changes', async () => {
    const {call, asAdmin, ok} = await fleetPlane()
    const ask = async () => (await call('POST', '/nodes/join-request', {body: joinRequest})).json
    const first = await ask()
    await asAdmin('POST', `/nodes/approve/${first.request_id}`)
    const before = await ok('GET', `/nodes/${first.request_id}`)

    const second = await ask()

    expect(second.request_id).not.toBe(first.request_id)
    expect(second.registration_code).not.toBe(first.registration_code)
    expect(await ok('GET', `/nodes/${first.request_id}`)).toEqual(before)
    expect((await ok('POST', `/nodes/approve/${second.request_id}`)).uuid).not.toBe(before.uuid)
  })

  test('W4.1-1 W6.4: a blocked node is kept out with its key and its host name, until it is approved again', async () => {
    const plane = await fleetPlane()
    const node = await plane.scriptedNode('api.example.com')
    const load = {cpu_usage: 1, disk_usage: 2, active_backups: 0}
    const admin = {token: plane.adminToken}
    await plane.server.ok('nodes.block', {id: String(node.id), reason: 'forged readings'}, admin)

    const refused = await plane.call('POST', '/nodes/join-request', {body: joinRequest})
    expect([refused.status, refused.json]).toEqual([403, {detail: 'Node is blocked'}])
    expect((await node.report(load)).status).toBe(403)
    expect((await plane.ok('GET', `/nodes/${node.id}`)).status).toBe('blocked')
    expect((await plane.call('GET', `/nodes/status/${node.id}`)).json).toEqual({status: 'blocked', api_key: null})
    expect((await plane.asAdmin('GET', `/metrics/nodes/${node.id}/stats/stream`)).status).toBe(404)

    expect((await plane.ok('POST', `/nodes/approve/${node.id}`)).status).toBe('active')
    expect((await node.report(load)).status).toBe(200)
    expect((await plane.call('POST', '/nodes/join-request', {body: joinRequest})).status).toBe(200)
    expect((await plane.server.ok<{name: string}>('nodes.get', {id: 'api.example.com'}, admin)).name).toBe(
      'api.example.com',
    )
  })

  test('W4.2-1 W4.2-5: codes are five letters that nobody mixes up, live for 15 minutes, and are taken in any case', async () => {
    vi.useFakeTimers({toFake: ['Date'], shouldAdvanceTime: false})
    onTestFinished(() => void vi.useRealTimers())
    const {call} = await fleetPlane()
    const codes = await Promise.all(
      Array.from({length: 40}, async (_, index) => {
        const localAddress = `127.0.1.${1 + (index % 20)}`
        const {json} = await call('POST', '/nodes/join-request', {body: {hostname: `n-${index}`}, localAddress})
        return json.registration_code as string
      }),
    )
    expect(new Set(codes).size).toBe(40)
    for (const one of codes) expect(one).toMatch(/^[A-HJKMNP-Z2-9]{5}$/)
    const [first = ''] = codes
    const spelled = `${first.slice(0, 2)}-${first.slice(2)} `.toLowerCase()
    const look = () => call('GET', `/nodes/status/code/${encodeURIComponent(spelled)}`)
    expect((await look()).json.status).toBe('pending')

    vi.setSystemTime(Date.now() + 15 * 60_000 + 1)
    expect((await look()).status).toBe(404)
  })

  test('W4.2-3 W4.5-1: a script joins, polls until its approval, keeps its key and reports; then it is active and online', async () => {
    const plane = await fleetPlane()
    const script = (async () => {
      const asked = (await plane.call('POST', '/nodes/join-request', {body: joinRequest})).json
      const key = await eventually(async () => {
        const {json} = await plane.call('GET', `/nodes/status/code/${asked.registration_code}`)
        return json.api_key as string | null
      })
      const load = {cpu_usage: 12, disk_usage: 51, active_backups: 0}
      return plane.call('POST', '/stats/', {body: load, headers: {'x-api-key': key}})
    })()
    const [waiting] = await eventually(async () => {
      const nodes = await plane.ok('GET', '/nodes/')
      return nodes.length > 0 && nodes
    })
    await plane.asAdmin('POST', '/nodes/register-by-code', {body: {code: waiting.registration_code}})

    expect((await script).json).toEqual({status: 'recorded', node: 'api.example.com'})
    expect((await plane.ok('GET', `/nodes/${waiting.id}`)).status).toBe('active')
    const reader = await plane.stream(`/metrics/nodes/${waiting.id}/stats/stream`)
    expect((await reader.atLeast(1))[0]?.data).toMatchObject({status: 'online', cpu_percent: 12})
  })

  test('T3: no sequence of anonymous calls changes a node that is active, or its key', async () => {
    const plane = await fleetPlane()
    const node = await plane.scriptedNode('api.example.com')
    const load = {cpu_usage: 1, disk_usage: 2, active_backups: 0}
    await node.report(load)
    const look = async () => {
      const {stats: _, ...rest} = await plane.ok('GET', `/nodes/${node.id}`)
      return rest
    }
    const before = await look()
    const headers = {'x-join-secret': 'guessed', 'x-api-key': 'gpn_guessed'}
    const calls = [
      ['POST', '/nodes/join-request', joinRequest],
      ['GET', '/nodes/status/code/ABCDE'],
      ['GET', `/nodes/status/${node.id}`],
      ['POST', `/nodes/approve/${node.id}`],
      ['POST', '/nodes/register-by-code', {code: 'ABCDE', ip_address: '10.0.0.9'}],
      ['PUT', `/nodes/${node.id}/quota`, {storage_quota_gb: 1}],
      ['POST', '/stats/', load],
    ] as const
    const addresses = fc.integer({min: 2, max: 250}).map(last => `127.0.2.${last}`)

    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...calls), addresses), {maxLength: 12}), async sequence => {
        for (const [[method, path, body], localAddress] of sequence) {
          const {status} = await plane.call(method, path, {body, headers, localAddress})
          expect(status).not.toBe(500)
        }
        expect(await look()).toEqual(before)
      }),
      {numRuns: 25},
    )

    expect((await node.report(load)).status).toBe(200)
  })

  test('T24: nothing is approved by a GET', async () => {
    const {call, asAdmin} = await fleetPlane()
    const asked = (await call('POST', '/nodes/join-request', {body: joinRequest})).json
    for (const path of [`/nodes/approve/${asked.request_id}`, '/nodes/register-by-code']) {
      const reply = await asAdmin('GET', path)
      expect([path, reply.status]).toEqual([path, path.endsWith('code') ? 422 : 405])
    }
    expect((await call('GET', `/nodes/status/${asked.request_id}`)).json.status).toBe('pending')
  })
})

type Plane = Awaited<ReturnType<typeof fleetPlane>>
interface Asked {
  request_id: string
  registration_code: string
}
