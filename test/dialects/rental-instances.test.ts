import {describe, expect, test} from 'vitest'
import type {Node} from '../../src/contract/schemas/nodes.ts'
import type {FleetStatus} from '../../src/contract/schemas/server.ts'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {eventually} from '../support/wait.ts'
import {rentalPlane} from './rental-plane.ts'

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)

/** A simulated machine of two cards, an image, a spec of one card, and Ann, who may hold four. */
async function rentalShop(options: Parameters<typeof controlPlane>[0] = {}) {
  const plane = await rentalPlane(await controlPlane(options))
  await simulatedFleet(plane.server)
  const {adminToken: admin} = plane
  const [node] = await plane.server.ok<Node[]>('nodes.list', {}, {token: admin})
  const image = await plane.data('POST', '/imageregistry/createImageRegistry', {
    ...{token: admin, body: {name: 'busybox', address: 'busybox'}},
  })
  const spec = await plane.data('POST', '/product/createProductSpec', {
    ...{token: admin, body: {name: 'one card', gpuCount: 1, cpuCores: 1, memoryGb: 1, pricePerHour: 2.5}},
  })
  const accounts = []
  for (const name of ['ann', 'bob']) {
    const {password} = await plane.server.user(name, {gpuQuota: 4})
    accounts.push((await plane.login(name, password)).json.data)
  }
  const [ann, bob] = accounts
  const ids = {imageId: image.ID, productSpecId: spec.ID, computeNodeId: node?.number}
  const create = (name: string, token: string = ann.token, fields: object = ids) =>
    plane.data('POST', '/instance/createInstance', {token, body: {...fields, name}})
  const find = (ID: number, token: string = ann.token) => plane.data('GET', `/instance/findInstance?ID=${ID}`, {token})
  const running = async (name: string, token?: string) => {
    const {ID} = await create(name, token)
    return eventually(async () => {
      const instance = await find(ID, token)
      return instance.status === 'running' ? instance : undefined
    })
  }
  const names = async (query: string, token: string = ann.token) =>
    (await plane.data('GET', `/instance/getInstanceList?${query}`, {token})).list.map(({name}: {name: string}) => name)
  return {...plane, node, image, spec, ids, ann, bob, admin, create, find, running, names}
}

describe('creating', () => {
  test('W3.1-13 W3.1-14: the document’s call makes an instance on the node that matches, with both spellings', async () => {
    const {data, ids, ann, node, find} = await rentalShop()
    const matched = await data('POST', '/instance/getMatchedNodes', {
      ...{token: ann.token, body: {productSpecId: ids.productSpecId}},
    })
    expect(matched).toMatchObject([
      {id: node?.number, name: node?.name, gpuCount: 2, availableGpu: 2, pricePerHour: 2.5, region: ''},
    ])
    const available = `/instance/getAvailableNodes?specId=${ids.productSpecId}`
    expect(await data('GET', available, {token: ann.token})).toEqual(matched)

    const body = {...ids, name: 'my-training-instance', remark: '深度学习训练'}
    const made = await data('POST', '/instance/createInstance', {token: ann.token, body})

    expect(made).toMatchObject({
      ...{ID: expect.any(Number), uuid: expect.any(String), CreatedAt: time, UpdatedAt: time},
      ...{name: 'my-training-instance', remark: '深度学习训练', status: 'creating', containerStatus: 'creating'},
      ...{imageId: ids.imageId, productSpecId: ids.productSpecId, specId: ids.productSpecId},
      ...{userId: ann.user.ID, userName: 'ann', computeNodeId: node?.number, nodeId: node?.number},
    })
    const running = await eventually(async () => {
      const instance = await find(made.ID)
      return instance.status === 'running' ? instance : undefined
    })
    expect(running).toMatchObject({
      ...{computeNodeId: node?.number, nodeId: node?.number, containerId: expect.stringMatching(/./)},
      containerName: expect.stringMatching(/^gpuctl-/),
    })
    expect(
      await data('POST', '/instance/getMatchedNodes', {
        ...{token: ann.token, body: {productSpecId: ids.productSpecId}},
      }),
    ).toMatchObject([{availableGpu: 1}])
  })

  test('W3.8: the origin’s spellings do as well, and without a node the best one is taken', async () => {
    const {create, ann, ids} = await rentalShop()

    const made = await create('by-origin', ann.token, {imageId: ids.imageId, specId: ids.productSpecId})
    expect(made).toMatchObject({specId: ids.productSpecId, name: 'by-origin'})
    const onNode = await create('on-node', ann.token, {
      ...{imageId: ids.imageId, specId: ids.productSpecId, nodeId: ids.computeNodeId},
    })
    expect(onNode).toMatchObject({name: 'on-node'})
  })

  test('one that waits for a card says where it was asked for, and why it is not there yet', async () => {
    const {create, find, node} = await rentalShop()
    for (const name of ['one', 'two']) await create(name)
    const {ID} = await create('three')

    const waiting = await eventually(async () => {
      const instance = await find(ID)
      return instance.reason === '' ? undefined : instance
    })
    expect(waiting).toMatchObject({
      ...{status: 'creating', reason: expect.stringContaining('0 of 2 GPUs free'), computeNodeId: node?.number},
    })
  })

  test('what is missing or unknown is named, and nothing is left behind', async () => {
    const {call, ids, ann, names} = await rentalShop()
    const ask = async (body: object) => (await call('POST', '/instance/createInstance', {token: ann.token, body})).json

    expect(await ask({...ids, imageId: 77})).toEqual({code: 404, data: null, msg: 'There is no image 77.'})
    expect(await ask({...ids, productSpecId: 77})).toEqual({code: 404, data: null, msg: 'There is no spec 77.'})
    expect(await ask({...ids, computeNodeId: 77})).toEqual({code: 404, data: null, msg: 'There is no node 77.'})
    expect(await ask({imageId: ids.imageId})).toMatchObject({code: 7, msg: expect.stringContaining('productSpecId')})
    expect(await ask({...ids, name: '../x'})).toMatchObject({code: 7, msg: expect.stringContaining('name')})
    expect(await names('')).toEqual([])
  })

  test('over the quota is code 7 with the figures', async () => {
    const {server, login, call, ids} = await rentalShop()
    const {password} = await server.user('eve', {gpuQuota: 0})
    const {token} = (await login('eve', password)).json.data

    const reply = await call('POST', '/instance/createInstance', {token, body: {...ids, name: 'greedy'}})

    expect(reply).toMatchObject({status: 200, json: {code: 7, data: null, msg: expect.stringContaining('quota of 0')}})
  })
})

describe('listing', () => {
  test('W3.1-12 T18: users see their own, administrators all; by name and status, in pages', async () => {
    const {create, running, names, data, ann, bob, admin} = await rentalShop()
    await running('alpha')
    await create('alphabet')
    await create('beta', bob.token)
    await eventually(async () => (await names('status=running')).length === 2)

    expect(await names('')).toEqual(['alphabet', 'alpha'])
    expect(await names('', bob.token)).toEqual(['beta'])
    expect(await names('', admin)).toEqual(['beta', 'alphabet', 'alpha'])
    expect(await names('name=BET')).toEqual(['alphabet'])
    expect(await names('name=BET', admin)).toEqual(['beta', 'alphabet'])
    expect(await names('containerStatus=exited')).toEqual([])
    expect(await data('GET', '/instance/getInstanceList?page=2&pageSize=1', {token: ann.token})).toMatchObject({
      ...{list: [{name: 'alpha'}], total: 2, page: 2, pageSize: 1},
    })
  })

  test('a remark is changed; what is left out stays', async () => {
    const {create, data, find, ann} = await rentalShop()
    const {ID} = await create('job')
    const change = (body: object) => data('PUT', '/instance/updateInstance', {token: ann.token, body: {ID, ...body}})

    expect(await change({remark: '深度学习训练'})).toMatchObject({remark: '深度学习训练', name: 'job'})
    expect(await change({})).toMatchObject({remark: '深度学习训练'})
    expect(await find(ID)).toMatchObject({remark: '深度学习训练'})
  })

  test('W3.1-12 W3.5: the list shows what an instance used a moment ago; a stopped one uses nothing', async () => {
    const {running, data, find, ann} = await rentalShop()
    const {ID} = await running('job')

    const used = await eventually(async () => {
      const instance = await find(ID)
      return instance.cpuUsagePercent === null ? undefined : instance
    })
    expect(used).toMatchObject({cpuUsagePercent: expect.any(Number), memoryUsagePercent: expect.any(Number)})
    expect(used.gpuMemoryUsageRate).toBeGreaterThanOrEqual(0)
    const stopped = await data('POST', '/instance/stopInstance', {token: ann.token, body: {ID}})
    expect(stopped).toMatchObject({cpuUsagePercent: null, memoryUsagePercent: null, gpuMemoryUsageRate: null})
  })
})

describe('power', () => {
  test('W3.1-15 W3.1-16 W3.1-17: stop, start and restart answer when it is done', async () => {
    const {running, data, call, ann, names} = await rentalShop()
    const {ID} = await running('job')
    const {token} = ann

    expect(await data('POST', '/instance/stopInstance', {token, body: {ID}})).toMatchObject({status: 'exited'})
    expect(await names('status=exited')).toEqual(['job'])
    expect(await data('POST', '/instance/startInstance', {token, body: {ID}})).toMatchObject({status: 'running'})
    expect(await data('POST', `/instance/restartContainer?ID=${ID}`, {token})).toMatchObject({status: 'running'})
    expect(await data('POST', `/instance/stopContainer?id=${ID}`, {token})).toMatchObject({status: 'exited'})
    expect((await call('POST', '/instance/startInstance', {token, body: {}})).json).toMatchObject({code: 7})
  })

  test('W3.1-18: a deleted instance is gone at once, from lists and by its ID; a second time there is none', async () => {
    const {running, data, call, ann, names} = await rentalShop()
    const [one, two] = [await running('one'), await running('two')]
    const {token} = ann

    await data('DELETE', '/instance/deleteInstance', {token, body: {ID: one.ID}})
    expect(await names('')).toEqual(['two'])
    const gone = {status: 404, json: {code: 404, data: null, msg: `There is no instance ${one.ID}.`}}
    expect(await call('GET', `/instance/findInstance?ID=${one.ID}`, {token})).toMatchObject(gone)
    expect(await call('DELETE', '/instance/deleteInstance', {token, body: {ID: one.ID}})).toMatchObject(gone)
    await data('DELETE', `/instance/deleteInstanceByIds?IDs[]=${two.ID}`, {token})
    expect(await names('')).toEqual([])
  })
})

describe('T18: somebody else’s instance', () => {
  test('looks like one that is not there, whatever is asked of it', async () => {
    const {running, call, bob} = await rentalShop()
    const {ID} = await running('anns')
    const asked = [
      ...['findInstance', 'getContainerLogs', 'getContainerStats', 'getSSHCommand'].map(name => ['GET', name]),
      ...['startInstance', 'stopInstance', 'restartInstance'].map(name => ['POST', name]),
      ...[
        ['DELETE', 'deleteInstance'],
        ['PUT', 'updateInstance'],
      ],
    ] as [string, string][]

    for (const [method, name] of asked) {
      const foreign = await call(method, `/instance/${name}?id=${ID}`, {token: bob.token})
      const absent = await call(method, `/instance/${name}?id=999`, {token: bob.token})
      expect(foreign, name).toMatchObject({status: 404, json: {code: 404, data: null}})
      expect(foreign.text.replace(String(ID), '999'), name).toBe(absent.text)
    }
  })
})

describe('W3.1-22: the way in by SSH', () => {
  test('T26: the command names the jump host and the login of the owner, and comes with the host key’s fingerprint', async () => {
    const {create, call, data, ann, admin, server} = await rentalShop({ssh: {port: 0}})
    const {ID} = await create('job')
    const {ssh} = await server.ok<FleetStatus>('server.status', {}, {token: admin})
    const path = `/instance/getSSHCommand?id=${ID}`

    const reply = await call('GET', path, {token: ann.token})

    expect(reply.json).toEqual({
      code: 0,
      data: {command: `ssh -p ${ssh?.port} ann@127.0.0.1`, fingerprint: expect.stringMatching(/^SHA256:/)},
      msg: '获取成功',
    })
    expect(await data('GET', path, {token: admin})).toEqual(reply.json.data)
  })

  test('without a jump host the answer says so', async () => {
    const {create, call, ann} = await rentalShop()
    const {ID} = await create('job')

    const reply = await call('GET', `/instance/getSSHCommand?id=${ID}`, {token: ann.token})

    expect(reply).toMatchObject({status: 200, json: {code: 7, data: null, msg: expect.stringContaining('SSH')}})
  })
})
