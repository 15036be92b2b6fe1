import {describe, expect, test} from 'vitest'
import {makeCertificates} from '../support/certs.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {rentalPlane} from './rental-plane.ts'

/** The request of document 002, as it stands there. */
const documented = {
  name: 'GPU-Node-01',
  region: '华东',
  cpu: 'Intel Xeon Gold 6248',
  memory: '256GB',
  systemDisk: '500GB',
  dataDisk: '2TB',
  publicIp: '1.2.3.4',
  privateIp: '192.168.1.100',
  sshPort: 22,
  username: 'root',
  password: '******',
  gpuName: 'NVIDIA RTX 4090',
  gpuCount: 8,
  memoryCapacity: 24,
  hamiCore: '/root/HAMi-core/build',
  dockerAddress: 'tcp://192.168.1.100:2376',
  useTls: true,
  caCert: '-----BEGIN CERTIFICATE-----...',
  clientCert: '-----BEGIN CERTIFICATE-----...',
  clientKey: '-----BEGIN RSA PRIVATE KEY-----...',
  isListed: true,
}
/** The same machine where nothing listens, so that nobody waits for an answer from 192.168.1.100. */
const machine = {
  ...documented,
  dockerAddress: 'tcp://127.0.0.1:1',
  password: 'canary-password',
  clientKey: 'canary-key',
}
const {password: _, clientKey: __, ...shown} = machine

describe('machines', () => {
  test('W3.1-7 W3.1-8 W3.8: the document’s machine is recorded with every field though its engine does not answer', async () => {
    const {data, adminToken: token} = await rentalPlane()

    const made = await data('POST', '/computenode/createComputeNode', {token, body: machine})

    expect(made).toEqual({
      ...{ID: 1, uuid: expect.any(String), CreatedAt: expect.any(String), UpdatedAt: expect.any(String)},
      ...{...shown, isOnShelf: true, remark: '', dockerStatus: 'failed'},
    })
    const page = await data('GET', '/computeNode/getComputeNodeList?name=Node&isListed=1&gpuName=4090', {token})
    expect(page).toEqual({list: [made], total: 1, page: 1, pageSize: 10})
    expect(await data('GET', '/computenode/getComputeNodeList?isListed=false', {token})).toMatchObject({total: 0})
    expect(await data('GET', '/computenode/getComputeNodeList?region=华北', {token})).toMatchObject({total: 0})
  })

  test('W3.1-8: the document’s own request is taken, secret stars and all', async () => {
    const {call, adminToken: token} = await rentalPlane()

    const reply = await call('POST', '/computenode/createComputeNode', {token, body: documented})

    expect(reply.json).toMatchObject({code: 0, data: {name: 'GPU-Node-01', dockerStatus: 'failed'}})
  })

  test('T14: password and clientKey never come back, nor stand in the log; stars leave them as they are', async () => {
    const {data, call, server, adminToken: token} = await rentalPlane()
    await data('POST', '/computenode/createComputeNode', {token, body: machine})
    const body = {ID: 1, remark: 'moved', password: '******', clientKey: '******'}

    const changed = await data('PUT', '/computenode/updateComputeNode', {token, body})

    expect(changed).toMatchObject({...shown, remark: 'moved'})
    const answers = await Promise.all([
      call('GET', '/computenode/getComputeNodeList', {token}),
      call('GET', '/computenode/findComputeNode?ID=1', {token}),
      server.call('GET', '/gpuctl/v1/nodes', {token}),
    ])
    expect(answers.map(({status}) => status)).toEqual([200, 200, 200])
    for (const text of [...answers.map(({text}) => text), server.log()]) expect(text).not.toMatch(/canary/)
    for (const {text} of answers.slice(0, 2)) expect(text).not.toMatch(/password|clientKey/i)
  })

  test('users see machines without their engine and login; creating one takes an administrator', async () => {
    const {data, call, server, login, adminToken} = await rentalPlane()
    await data('POST', '/computenode/createComputeNode', {token: adminToken, body: machine})
    const {password} = await server.user('ann')
    const {token} = (await login('ann', password)).json.data

    const {list} = await data('GET', '/computenode/getComputeNodeList', {token})
    expect(list).toMatchObject([{name: 'GPU-Node-01', dockerAddress: '', caCert: '', clientCert: '', username: ''}])
    const refused = await call('POST', '/computenode/createComputeNode', {token, body: machine})
    expect(refused).toMatchObject({status: 403, json: {code: 403, data: null, msg: '权限不足'}})
  })

  test('W3.1-9 T21: a test of an engine succeeds whatever it finds, and tells no more than that it does not answer', async context => {
    need(context, 'openssl')
    const {data, adminToken: token} = await rentalPlane()
    const {ca: caCert, client} = await makeCertificates(await temporaryDirectory('gpuctl-certificates-'))
    const body = {...machine, caCert, clientCert: client.cert, clientKey: client.key}
    await data('POST', '/computenode/createComputeNode', {token, body})
    const path = '/computenode/testDockerConnection'

    expect(await data('POST', path, {token, body: {ID: 1}})).toEqual({status: 'failed', message: 'Docker 无法连接'})
    await data('PUT', '/computenode/updateComputeNode', {token, body: {ID: 1, clientCert: 'no certificate'}})
    const other = await data('POST', '/computenode/testConnection?ID=1', {token})
    expect(other).toEqual({status: 'failed', message: 'TLS 认证失败'})
  })

  test('T21 T17: an engine on the network without TLS, and a folder that may not be bound, are refused', async () => {
    const {call, data, adminToken: token} = await rentalPlane()
    const ask = async (body: object) => (await call('POST', '/computenode/createComputeNode', {token, body})).json

    const plain = {...machine, dockerAddress: 'tcp://192.168.1.100:2375', useTls: false}
    expect(await ask(plain)).toMatchObject({code: 7, data: null, msg: expect.stringContaining('TLS')})
    expect(await ask({...machine, hamiCore: '/etc'})).toMatchObject({code: 7, msg: expect.stringContaining('hamiCore')})
    expect(await ask({...machine, publicIp: undefined})).toMatchObject({
      code: 7,
      msg: expect.stringMatching(/^publicIp/),
    })
    expect(await data('GET', '/computenode/getComputeNodeList', {token})).toMatchObject({total: 0})
  })

  test('a machine is taken out by its ID', async () => {
    const {data, call, adminToken: token} = await rentalPlane()
    await data('POST', '/computenode/createComputeNode', {token, body: machine})

    await data('DELETE', '/computenode/deleteComputeNode', {token, body: {ID: 1}})

    expect(await call('GET', '/computenode/findComputeNode?ID=1', {token})).toMatchObject({status: 404})
  })
})
