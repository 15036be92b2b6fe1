import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import type {SessionClaims} from '../../src/domain/security-ports.ts'
import {Tokens} from '../../src/platform/tokens.ts'
import {rentalPlane} from './rental-plane.ts'

/** The requests of document 002, as they stand there. */
const image = {
  name: 'Ubuntu 22.04 CUDA',
  address: 'nvidia/cuda:12.0-runtime-ubuntu22.04',
  description: 'CUDA 12.0 运行时环境',
  source: 'Docker Hub',
  supportMemorySplit: true,
  isListed: true,
  remark: '',
}
const product = {
  name: '4090-2卡-16核-64G',
  gpuModel: 'NVIDIA RTX 4090',
  gpuCount: 2,
  memoryCapacity: 48,
  supportMemorySplit: false,
  cpuCores: 16,
  memoryGb: 64,
  systemDiskGb: 100,
  dataDiskGb: 500,
  pricePerHour: 10.0,
  isListed: true,
}
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
const identity = {ID: 1, uuid: expect.any(String), CreatedAt: time, UpdatedAt: time}

describe('logging in', () => {
  test('W3.1-2 W3.2-3 W6.5-14 R4: the document’s login answers its envelope, a token of seven days and expiresAt in seconds', async () => {
    const {server, login, call} = await rentalPlane()
    const {password} = await server.user('ann')
    const body = {username: 'ann', password, captcha: 'xxxx', captchaId: 'xxx'}

    const reply = await call('POST', '/base/login', {body})

    expect(reply.status).toBe(200)
    expect(reply.json).toEqual({
      code: 0,
      data: {
        user: {
          ...{ID: expect.any(Number), uuid: expect.any(String), CreatedAt: time, UpdatedAt: time},
          ...{username: 'ann', userName: 'ann', nickName: 'ann', authorityId: 100, enable: 1},
        },
        token: expect.stringMatching(/^eyJ/),
        expiresAt: expect.any(Number),
      },
      msg: '登录成功',
    })
    const leftSeconds = reply.json.data.expiresAt - Date.now() / 1000
    expect(leftSeconds).toBeGreaterThan(7 * 86_400 - 60)
    expect(leftSeconds).toBeLessThanOrEqual(7 * 86_400)
    const admin = await login('admin', server.firstPassword as string)
    expect(admin.json.data.user).toMatchObject({authorityId: 888})
  })

  test('W6.1-6: the token is taken in x-token and as Bearer, in no cookie and in no query', async () => {
    const {server, call, login} = await rentalPlane()
    const {password} = await server.user('ann')
    const {token} = (await login('ann', password)).json.data
    const list = '/imageregistry/getImageRegistryList'

    expect((await call('GET', list, {token})).status).toBe(200)
    expect((await server.call('GET', list, {token})).status).toBe(200)
    expect((await server.call('GET', list, {headers: {cookie: `x-token=${token}`}})).status).toBe(401)
    expect((await server.call('GET', `${list}?token=${token}&x-token=${token}`)).status).toBe(401)
  })

  test('W3.2-2: in the last day of a login every answer brings the next token, and when that one ends', async () => {
    const {server, call, login} = await rentalPlane()
    const {password} = await server.user('ann')
    const {token, expiresAt} = (await login('ann', password)).json.data
    const early = await call('GET', '/imageregistry/getImageRegistryList', {token})
    expect(early.headers).not.toHaveProperty('new-token')

    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())
    const [key = ''] = (await readFile(join(server.directory, 'token-keys'), 'utf8')).split('\n')
    const sixDaysAndAHour = 6 * 86_400 + 3_600
    const old = new Tokens<SessionClaims>({keys: [key], issuer: claims.iss, audience: claims.aud}).sign({
      ...claims,
      ...{iat: claims.iat - sixDaysAndAHour, exp: claims.exp - sixDaysAndAHour, jti: 'old'},
    })
    const late = await call('GET', '/api/v1/imageregistry/getImageRegistryList', {token: old})

    expect(late.json).toMatchObject({code: 0})
    const {'new-token': next, 'new-expires-at': ends} = late.headers
    expect(Math.abs(Number(ends) - expiresAt)).toBeLessThan(60)
    expect((await call('GET', '/imageregistry/getImageRegistryList', {token: String(next)})).status).toBe(200)
  })
})

describe('images', () => {
  test('W3.1-3 W3.1-4 W3.1-5 W3.1-6: the document’s calls create, list, change and delete an image', async () => {
    const {data, adminToken: token} = await rentalPlane()
    const created = await data('POST', '/imageregistry/createImageRegistry', {token, body: image})
    expect(created).toEqual({...identity, ...image, isOnShelf: true})

    expect(await data('GET', '/imageregistry/getImageRegistryList', {token})).toEqual({
      ...{list: [created], total: 1, page: 1, pageSize: 10},
    })
    const renamed = {ID: 1, name: 'Ubuntu 22.04'}
    expect(await data('PUT', '/imageregistry/updateImageRegistry', {token, body: renamed})).toMatchObject({
      ...image,
      name: 'Ubuntu 22.04',
    })
    await data('DELETE', '/imageregistry/deleteImageRegistry', {token, body: {ID: 1}})
    expect(await data('GET', '/imageregistry/getImageRegistryList', {token})).toMatchObject({list: [], total: 0})
  })

  test('W3.1-4: left out, supportMemorySplit is false and isListed is true', async () => {
    const {data, adminToken: token} = await rentalPlane()

    expect(
      await data('POST', '/imageregistry/createImageRegistry', {token, body: {name: 'plain', address: 'busybox'}}),
    ).toMatchObject({supportMemorySplit: false, isListed: true, isOnShelf: true, description: '', remark: ''})
  })

  test('W3.1-3: lists are cut into pages and filtered by parts of the name and by isListed; empty filters filter nothing', async () => {
    const {data, adminToken: token} = await rentalPlane()
    for (let count = 1; count <= 12; count++) {
      const body = {name: `image ${count}`, address: 'busybox', isOnShelf: count % 2 === 0}
      await data('POST', '/imageRegistry/createImageRegistry', {token, body})
    }
    const list = (query: string) => data('GET', `/imageregistry/getImageRegistryList?${query}`, {token})
    const names = async (query: string) => (await list(query)).list.map(({name}: {name: string}) => name)

    expect(await names('name=e 1')).toEqual(['image 1', 'image 10', 'image 11', 'image 12'])
    expect(await names('name=e 1&isListed=true')).toEqual(['image 10', 'image 12'])
    expect(await names('name=e 1&isListed=0')).toEqual(['image 1', 'image 11'])
    expect(await list('name=&isListed=&page=2&pageSize=5')).toMatchObject({total: 12, page: 2, pageSize: 5})
    expect(await list('page=&pageSize=')).toMatchObject({total: 12, page: 1, pageSize: 10})
    expect(await names('page=3&pageSize=5')).toEqual(['image 11', 'image 12'])
    expect(await list('pageSize=5000')).toMatchObject({pageSize: 100})
    expect(await list('page=9')).toMatchObject({list: [], total: 12, page: 9})
  })

  test('W3.1-6 W6.5-15: an ID is taken from the body and from the query, as ID and as id; IDs delete several', async () => {
    const {data, call, adminToken: token} = await rentalPlane()
    for (const name of ['one', 'two', 'three', 'four', 'five', 'six']) {
      await data('POST', '/imageregistry/createImageRegistry', {token, body: {name, address: 'busybox'}})
    }
    const remove = '/api/v1/imageregistry/deleteImageRegistry'
    await data('DELETE', remove, {token, body: {ID: 1}})
    await data('DELETE', `${remove}?ID=2`, {token})
    await data('DELETE', `${remove}?id=3`, {token})
    await data('DELETE', `${remove}ByIds?IDs[]=4&IDs[]=5`, {token})
    expect(await data('GET', '/imageregistry/findImageRegistry?ID=6', {token})).toMatchObject({name: 'six'})

    expect((await call('GET', '/imageregistry/findImageRegistry?ID=4', {token})).status).toBe(404)
    expect((await call('DELETE', remove, {token})).json).toMatchObject({code: 7, data: null})
  })

  test('a number is an ID and never the name of another record', async () => {
    const {data, call, adminToken: token} = await rentalPlane()
    await data('POST', '/imageregistry/createImageRegistry', {token, body: {name: '77', address: 'busybox'}})

    const reply = await call('DELETE', '/imageregistry/deleteImageRegistry', {token, body: {ID: 77}})

    expect(reply.json).toEqual({code: 404, data: null, msg: 'There is no image 77.'})
  })
})

describe('products', () => {
  test('W3.1-10 W3.1-11: the document’s spec is created, listed and found by its filters', async () => {
    const {data, adminToken: token} = await rentalPlane()
    const created = await data('POST', '/product/createProductSpec', {token, body: product})
    expect(created).toEqual({...identity, ...product, isOnShelf: true})

    const list = (query: string) => data('GET', `/productSpec/getProductSpecList?${query}`, {token})
    expect(await list('gpuModel=NVIDIA RTX 4090&isListed=1')).toMatchObject({list: [created], total: 1})
    expect(await list('gpuModel=H100')).toMatchObject({list: [], total: 0})
    expect(await data('PUT', '/product/updateProductSpec', {token, body: {ID: 1, pricePerHour: 12.5}})).toMatchObject({
      ...product,
      pricePerHour: 12.5,
    })
    await data('DELETE', '/product/deleteProductSpec', {token, body: {id: 1}})
    expect(await list('')).toMatchObject({total: 0})
  })
})

describe('who may', () => {
  test('everybody who is logged in may list; only administrators may put things into the catalogue', async () => {
    const {server, call, login} = await rentalPlane()
    const {password} = await server.user('ann')
    const {token} = (await login('ann', password)).json.data

    for (const path of ['/imageregistry/getImageRegistryList', '/product/getProductSpecList']) {
      expect((await call('GET', path, {token})).json).toMatchObject({code: 0})
    }
    for (const [path, body] of [
      ['/imageregistry/createImageRegistry', image],
      ['/product/createProductSpec', product],
    ] as const) {
      const reply = await call('POST', path, {token, body})
      expect(reply).toMatchObject({status: 403, json: {code: 403, data: null, msg: '权限不足'}})
    }
  })
})
