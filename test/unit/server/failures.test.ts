import {once} from 'node:events'
import {connect} from 'node:net'
import {text} from 'node:stream/consumers'
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest'
import {errorKinds} from '../../../src/contract/error-kinds.ts'
import {apiPrefix} from '../../../src/contract/routes.ts'
import {DomainError} from '../../../src/domain/errors.ts'
import {httpStatus} from '../../../src/server/errors.ts'
import {eventually} from '../../support/wait.ts'
import {type CallOptions, startWorld, tokens, type World} from './fixture.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())
afterEach(() => world.answers.clear())

const call = (target: string, options: CallOptions = {}) =>
  world.call(`${apiPrefix}${target}`, {token: tokens.super_admin, ...options})
const submit = (raw: string) => call('/claims', {method: 'POST', raw})

describe('the envelope', () => {
  test.each(Object.keys(errorKinds) as (keyof typeof errorKinds)[])('%s comes whole, with its status', async code => {
    world.answers.set('claims.list', () => {
      throw new DomainError(code, {seconds: 7})
    })

    const reply = await call('/claims', {headers: {'x-request-id': 'abc-1'}})

    expect(reply.status).toBe(httpStatus[errorKinds[code]])
    expect(Object.keys(reply.json.error).sort()).toEqual(['code', 'details', 'hint', 'message', 'requestId'])
    expect(reply.json.error).toMatchObject({code, requestId: 'abc-1', details: {seconds: 7}})
    expect(reply.headers['x-request-id']).toBe('abc-1')
    if (httpStatus[errorKinds[code]] === 429) expect(reply.headers['retry-after']).toBe('7')
  })

  test('a bug tells the caller nothing and the log all', async () => {
    world.answers.set('claims.list', () => {
      throw new Error('password is hunter2')
    })

    const reply = await call('/claims')

    expect([reply.status, reply.json.error.code]).toEqual([500, 'internal'])
    expect(reply.text).not.toContain('hunter2')
    const line = world.log.find(one => one.includes('hunter2'))
    expect(JSON.parse(line ?? '{}')).toMatchObject({requestId: reply.json.error.requestId, level: 50})
  })

  test('a request id that could hurt a log is replaced', async () => {
    const reply = await call('/nothing', {headers: {'x-request-id': '"; rm -rf'}})

    expect(reply.json.error.requestId).toMatch(/^[0-9a-f-]{36}$/)
    expect(reply.headers['x-request-id']).toBe(reply.json.error.requestId)
  })

  test.each([
    ['GET', '/nothing', 404, 'route_unknown'],
    ['PUT', '/claims', 405, 'method_unknown'],
    ['HEAD', '/claims/1', 405, undefined],
    ['GET', '/claims/%ff', 400, 'input_invalid'],
    ['GET', `/claims/${'x'.repeat(300)}`, 400, 'input_invalid'],
    ['GET', '/link', 401, 'token_invalid'],
  ])('%s %s → %i %s', async (method, target, status, code) => {
    const reply = await call(target, {method})

    expect([reply.status, reply.json?.error.code]).toEqual([status, code])
    if (status === 405) expect(reply.headers.allow).toContain('GET')
  })
  test.each([
    ['no JSON', '{'],
    ['too large', 'x'.repeat(2_000_000)],
  ])('what is not there is not there, also when the body is %s', async (_, raw) => {
    const there = await call('/nothing', {method: 'POST', raw})
    const otherwise = await call('/claims', {method: 'PUT', raw})

    expect([there.status, otherwise.status]).toEqual([404, 405])
    expect((await call('/claims')).status).toBe(200)
  })

  test('what is outside of all APIs has the envelope too', async () => {
    expect((await world.call('/nothing')).json.error.code).toBe('route_unknown')
    expect((await world.call('/healthz', {method: 'POST'})).json.error.code).toBe('method_unknown')
  })
})

describe('input', () => {
  test.each([
    ['a member that nobody knows', {image: 'x', gpu: 1}, 'gpu'],
    ['a nested one', {image: 'x', gpus: {count: 1, mem: 1}}, 'gpus.mem'],
    ['one that is missing', {}, 'image'],
    ['a wrong type', {image: 'x', gpus: {count: 'two'}}, 'gpus.count'],
    ['a text for a number', {image: 'x', priority: '5'}, 'priority'],
    ['too large a figure', {image: 'x', priority: 101}, 'priority'],
    ['a word that is not in the list', {image: 'x', restart: 'sometimes'}, 'restart'],
    ['a form that does not fit', {image: '-bad image'}, 'image'],
    ['a bad key of a record', {image: 'x', env: {'A-B': '1'}}, 'env.A-B'],
    ['a list for an object', [], 'body'],
  ])('%s is refused by its name, with what would be right', async (_, body, field) => {
    const {status, json} = await call('/claims', {method: 'POST', body})

    expect([status, json.error.code, json.error.details.field]).toEqual([400, 'input_invalid', field])
    expect(json.error.message).toContain(`${field}: `)
    expect(json.error.hint.length).toBeGreaterThan(4)
  })

  test.each([
    ['?limit=ten', 'limit'],
    ['?limit=0', 'limit'],
    ['?limit=1&limit=2', 'limit'],
    ['?all=maybe', 'all'],
    ['?limti=1', 'limti'],
    ['?phase=Sleeping', 'phase'],
    ['?name=%00', 'name'],
    ['?limit=99999999999999999999', 'limit'],
  ])('query %s is refused', async (query, field) => {
    const {status, json} = await call(`/claims${query}`)

    expect([status, json.error.code, json.error.details.field]).toEqual([400, 'input_invalid', field])
  })

  test('query texts become what the schema says', async () => {
    await call('/claims?limit=5&all=true&live=0&name=007')

    expect(world.calls.at(-1)?.input).toEqual({limit: 5, all: true, live: false, name: '007'})
  })

  test('the path’s parameters are part of the input, and a body cannot say otherwise', async () => {
    await call('/instances/web-1/stop', {method: 'POST', body: {graceSeconds: 3}})
    expect(world.calls.at(-1)?.input).toEqual({id: 'web-1', graceSeconds: 3})

    const {json} = await call('/instances/web-1/stop', {method: 'POST', body: {id: 'web-2'}})
    expect(json.error.details.field).toBe('id')
  })

  test('a call without members needs no body', async () => {
    expect((await call('/instances/a/start', {method: 'POST'})).status).toBe(200)
    const empty = await call('/instances/a/start', {method: 'POST', headers: {'content-type': 'application/json'}})
    expect(empty.status).toBe(200)
  })
})

describe('JSON', () => {
  test.each([
    ['cut off', '{"image":', 'input_unreadable'],
    ['not JSON', 'image=x', 'input_unreadable'],
    ['33 levels', `${'['.repeat(33)}${']'.repeat(33)}`, 'input_unreadable'],
    ['100,000 levels', '['.repeat(100_000) + ']'.repeat(100_000), 'input_unreadable'],
    ['2^53 + 1', '{"image":"x","priority":9007199254740993}', 'input_invalid'],
    ['1e400', '{"image":"x","cpus":1e400}', 'input_invalid'],
    ['-1e400', '{"image":"x","cpus":-1e400}', 'input_invalid'],
    ['__proto__', '{"image":"x","__proto__":{"role":"super_admin"}}', 'input_invalid'],
    ['__proto__ in disguise', '{"image":"x","labels":{"\\u005f_proto__":"a"}}', 'input_invalid'],
    ['a member twice', '{"image":"x","image":"y"}', 'input_invalid'],
    ['a member twice in disguise', '{"image":"x","i\\u006dage":"y"}', 'input_invalid'],
    ['NUL', '{"image":"x","command":["a\\u0000b"]}', 'input_invalid'],
    ['half a surrogate pair', '{"image":"x","command":["a\\ud800b"]}', 'input_invalid'],
    ['half a surrogate pair in a name', '{"image":"x","env":{"\\udc00":"b"}}', 'input_invalid'],
  ])('%s is refused', async (_, raw, code) => {
    const before = world.calls.length
    const {status, json} = await submit(raw)

    expect([status, json.error.code]).toEqual([400, code])
    expect(world.calls.length).toBe(before)
  })

  test('what only looks odd is taken', async () => {
    const command = ['"', '\\', '\\u0000', '{"a":1,"a":2}', '9007199254740993', '__proto__', '🙂']
    const reply = await submit(JSON.stringify({image: 'x', command, cpus: 0.5, priority: -3, env: {constructor: 'a'}}))

    expect(reply.status).toBe(202)
    expect(world.calls.at(-1)?.input).toEqual({image: 'x', command, cpus: 0.5, priority: -3, env: {constructor: 'a'}})
    expect((await submit('{"image":"x","command":["\\ud83d\\ude42"]}')).status).toBe(202)
    expect(world.calls.at(-1)?.input).toEqual({image: 'x', command: ['🙂']})
  })

  test('a body that is not UTF-8 is refused', async () => {
    const {json} = await call('/claims', {method: 'POST', raw: Buffer.from([0x22, 0xff, 0x22])})

    expect(json.error.code).toBe('input_unreadable')
  })

  test('more than 1 MiB is refused; a join request ends at 4 KiB', async () => {
    const large = await submit(JSON.stringify({image: 'x'.repeat(1024 * 1024)}))
    const join = await call('/nodes/join', {method: 'POST', body: {hostname: 'x'.repeat(5000)}})

    expect([large.status, large.json.error.message]).toEqual([413, 'The body is larger than 1 MiB.'])
    expect([join.status, join.json.error.message]).toEqual([413, 'The body is larger than 4 KiB.'])
  })

  test('only JSON is understood, and nothing is unpacked', async () => {
    const plain = await call('/claims', {method: 'POST', raw: 'a', headers: {'content-type': 'text/plain'}})
    const form = await call('/claims', {
      method: 'POST',
      raw: 'a=1',
      headers: {'content-type': 'application/x-www-form-urlencoded'},
    })
    const packed = await call('/claims', {method: 'POST', raw: '\x1f\x8b', headers: {'content-encoding': 'gzip'}})

    expect([plain.status, plain.json.error.code]).toEqual([415, 'media_type_unknown'])
    expect(form.status).toBe(415)
    expect([packed.status, packed.json.error.code]).toEqual([415, 'media_type_unknown'])
  })

  test('an answer holds only what its schema names', async () => {
    world.answers.set('tokens.list', () => [{...(tokenRow() as object), secretHash: 'canary'}])

    const reply = await call('/tokens')

    expect(reply.json).toEqual([tokenRow()])
  })
})

function tokenRow() {
  const at = '2026-01-01T00:00:00.000Z'
  const id = '00000000-0000-4000-8000-000000000001'
  const times = {createdAt: at, updatedAt: at, expiresAt: null, lastUsedAt: at}
  return {
    id,
    number: 1,
    name: 'ci',
    owner: 'ann',
    scopes: ['read'],
    requestsPerMinute: null,
    concurrency: null,
    hint: 'gpc_',
    ...times,
  }
}

describe('what is not even HTTP', () => {
  async function say(bytes: string): Promise<string> {
    const socket = connect(world.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(bytes)
    return text(socket)
  }

  test.each([
    ['noise', '\x16\x03\x01\x00\r\n\r\n', '400', 'request: is not HTTP'],
    [
      'a head that is too large',
      `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      '431',
      'of more than 16 KiB',
    ],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      '400',
    ],
    ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', '421'],
    ['an empty Host', 'GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n', '421'],
    ['two Hosts', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n', '421'],
  ])('%s is answered and the connection ends', async (_, bytes, status, words = '') => {
    const answer = await say(bytes)
    expect(answer.slice(0, 12)).toBe(`HTTP/1.1 ${status}`)
    expect(answer).toContain(words)
  })

  test('an upgrade that nobody speaks is answered as a plain request', async () => {
    const answer = await say('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n')

    expect(answer).toMatch(/^HTTP\/1.1 200/)
  })

  test('a body behind such an upgrade is read, whole or in pieces, and the connection goes on', async () => {
    const body = JSON.stringify({image: 'x'.repeat(100), command: ['ü']})
    const head = [
      ...['POST /gpuctl/v1/claims HTTP/1.1', 'Host: localhost', 'Connection: Upgrade, HTTP2-Settings'],
      ...['HTTP2-Settings: AAEAAEAAAAIAAAAB', 'Upgrade: h2c', `Authorization: Bearer ${tokens.user}`],
      ...['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`, '', ''],
    ].join('\r\n')
    const socket = connect(world.port, '127.0.0.1')
    let answers = ''
    socket.on('data', piece => {
      answers += piece
    })
    const answered = (times: number) => eventually(() => answers.match(/HTTP\/1.1 202/g)?.length === times)
    socket.write(head + body)
    await answered(1)
    socket.write(head)
    socket.write(body.slice(0, 50))
    await new Promise(setImmediate)
    socket.write(body.slice(50))
    await answered(2)
    socket.destroy()

    expect(world.calls.slice(-2).map(({input}) => input)).toEqual([JSON.parse(body), JSON.parse(body)])
  })

  test('T32: a request that does not arrive in time ends with 408', async () => {
    const slow = await startWorld({settings: {requestTimeoutMs: 200}})
    const socket = connect(slow.port, '127.0.0.1')
    socket.write('GET /healthz HTTP/1.1\r\nHost: loc')

    expect(await text(socket)).toMatch(/^HTTP\/1.1 408/)
    await slow.stop()
  })
})
