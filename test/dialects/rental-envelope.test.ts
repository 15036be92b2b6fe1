import {describe, expect, test} from 'vitest'
import {rentalPlane} from './rental-plane.ts'

const images = '/imageregistry/getImageRegistryList'

describe('W6.5-8 R3: the envelope of document 002', () => {
  test('401: without a token, with a wrong one, and with one that is revoked', async () => {
    const {call, server, login} = await rentalPlane()
    const refused = {status: 401, json: {code: 401, data: null, msg: '未登录或非法访问'}}
    expect(await call('GET', images)).toMatchObject(refused)
    expect(await call('GET', `/api/v1${images}`, {token: 'eyJhbGciOiJIUzI1NiIs...'})).toMatchObject(refused)

    const {password} = await server.user('ann')
    const {token} = (await login('ann', password)).json.data
    await server.ok('auth.logout', {}, {token})
    expect(await call('GET', images, {token})).toMatchObject(refused)
  })

  test('403: a role that is too low, a token that may only read, a page of another site', async () => {
    const {call, adminToken, server} = await rentalPlane()
    const input = {name: 'reader', scopes: ['read']}
    const {secret: token} = await server.ok<{secret: string}>('tokens.create', input, {token: adminToken})
    const body = {name: 'x', address: 'busybox'}
    const create = await call('POST', '/imageregistry/createImageRegistry', {token, body})
    expect(create).toMatchObject({status: 403, json: {code: 403, data: null, msg: '权限不足'}})
    expect((await call('GET', images, {token})).status).toBe(200)

    const foreign = await call('GET', images, {token, headers: {origin: 'https://evil.test'}})
    expect(foreign).toMatchObject({status: 403, json: {code: 403, data: null}})
  })

  test('404: an unknown path and an unknown record', async () => {
    const {call, adminToken: token} = await rentalPlane()

    for (const path of ['/base/nothing', '/api/v1/imageregistry/nothing', '/INSTANCE', '/computeNode/x/y/']) {
      expect(await call('GET', path, {token}), path).toMatchObject({status: 404, json: {code: 404, data: null}})
    }
    const record = await call('GET', '/product/findProductSpec?id=5', {token})
    expect(record).toMatchObject({status: 404, json: {code: 404, data: null, msg: 'There is no spec 5.'}})
  })

  test('405: a known path with another method', async () => {
    const {call} = await rentalPlane()

    const reply = await call('GET', '/Base/Login')

    expect(reply).toMatchObject({status: 405, json: {code: 7, data: null}})
    expect(reply.headers.allow).toBe('POST')
  })

  test('7: a body that is no JSON, and input that does not fit, name what is wrong', async () => {
    const {call, adminToken: token} = await rentalPlane()
    const create = '/imageregistry/createImageRegistry'

    for (const raw of ['{', '[]', 'null', '"text"', '{"name":1,"name":2}', '\u0000']) {
      const reply = await call('POST', create, {token, raw})
      expect(reply, raw).toMatchObject({status: 200, json: {code: 7, data: null, msg: expect.any(String)}})
    }
    const nameless = await call('POST', create, {token, body: {address: 'busybox'}})
    expect(nameless.json).toMatchObject({code: 7, msg: expect.stringMatching(/^name: is missing/)})
    const query = await call('GET', `${images}?page=x`, {token})
    expect(query.json).toMatchObject({code: 7, msg: expect.stringMatching(/^page: /)})
    const twice = {token, body: {name: 'x', address: 'busybox'}}
    await call('POST', create, twice)
    expect((await call('POST', create, twice)).json).toMatchObject({code: 7, data: null})
  })

  test('the request’s own faults keep their status: too large, and no JSON by its type', async () => {
    const {call, adminToken: token} = await rentalPlane()
    const create = '/imageregistry/createImageRegistry'

    const large = await call('POST', create, {token, body: {name: 'x'.repeat(2 * 1024 * 1024)}})
    expect(large).toMatchObject({status: 413, json: {code: 7, data: null}})
    const form = await call('POST', create, {token, raw: 'a=1', headers: {'content-type': 'text/plain'}})
    expect(form).toMatchObject({status: 415, json: {code: 7, data: null}})
  })
})

describe('W6.1-11: paths', () => {
  test('match whatever their case, with a closing slash, at the root and below /api/v1', async () => {
    const {data, adminToken: token} = await rentalPlane()

    for (const path of [
      ...[
        '/imageregistry/getImageRegistryList',
        '/imageRegistry/getimageregistrylist',
        '/IMAGEREGISTRY/GETIMAGEREGISTRYLIST/',
      ],
      ...['/api/v1/imageregistry/getImageRegistryList', '/API/V1/ImageRegistry/GetImageRegistryList'],
    ]) {
      expect(await data('GET', path, {token}), path).toMatchObject({list: []})
    }
  })

  test('/health says ok, and the pages of all routes are there under both prefixes', async () => {
    const {call} = await rentalPlane()

    expect((await call('GET', '/health')).json).toBe('ok')
    expect((await call('GET', '/swagger/index.html')).headers.location).toBe('/swagger/')
    expect((await call('GET', '/api/v1/swagger/index.html')).headers.location).toBe('/swagger/')
  })
})

describe('W3.1-1 W3.2-1 T11: the captcha over HTTP', () => {
  test('a picture is drawn; three failures make it due, and then only its digits let anybody in', async () => {
    const {data, login, server} = await rentalPlane()
    const {password} = await server.user('ann')
    expect(await data('POST', '/base/captcha')).toEqual({
      captchaId: expect.any(String),
      picPath: expect.stringMatching(/^data:image\/svg\+xml;base64,/),
      captchaLength: 6,
      openCaptcha: false,
    })
    const from = '127.0.0.9'
    for (let miss = 0; miss < 3; miss++) {
      const wrong = await login('ann', 'wrong', {}, from)
      expect(wrong).toMatchObject({status: 200, json: {code: 7, data: null, msg: '用户名不存在或者密码错误'}})
    }

    const {captchaId, openCaptcha} = await data('POST', '/api/v1/base/captcha', {localAddress: from})
    expect(openCaptcha).toBe(true)
    const refused = await login('ann', password, {captchaId, captcha: 'xxxx'}, from)
    expect(refused).toMatchObject({status: 200, json: {code: 7, data: null, msg: '验证码错误'}})
  })

  test('T11: what CI logs in with never asks: the native login, and a token', async () => {
    const {login, server, adminToken, call} = await rentalPlane()
    const {password} = await server.user('ann')
    for (let miss = 0; miss < 3; miss++) await login('ann', 'wrong', {}, '127.0.0.9')

    expect(await server.login('ann', password, '127.0.0.9')).toMatch(/^eyJ/)
    const {secret} = await server.ok<{secret: string}>('tokens.create', {name: 'ci'}, {token: adminToken})
    expect((await call('GET', images, {token: secret, localAddress: '127.0.0.9'})).json).toMatchObject({code: 0})
  })

  test('a disabled account is told so after the right password', async () => {
    const {login, server, adminToken: token} = await rentalPlane()
    const {id, password} = await server.user('ann')
    await server.ok('users.update', {id, enabled: false}, {token})

    expect((await login('ann', password)).json).toEqual({code: 7, data: null, msg: '用户被禁止登录'})
    expect((await login('ann', 'wrong')).json).toEqual({code: 7, data: null, msg: '用户名不存在或者密码错误'})
  })
})
