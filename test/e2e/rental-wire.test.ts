import {once} from 'node:events'
import {describe, expect, onTestFinished, test} from 'vitest'
import WebSocket from 'ws'
import type {Claim} from '../../src/contract/schemas/claims.ts'
import {rentalPlane} from '../dialects/rental-plane.ts'
import {makeCertificates} from '../support/certs.ts'
import {dockerdMissing, testDockerd} from '../support/docker.ts'
import {busyboxImage, ensureBusyboxImage} from '../support/images.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, type WholeFleet, wholeFleet} from '../support/whole-fleet.ts'

/** Calls of document 002 to a server with one real machine. */
function rentalOf({server}: WholeFleet) {
  const headers = {'x-token': server.token, 'content-type': 'application/json'}
  return async (method: string, path: string, body?: object) => {
    const init = {method, headers, ...(body ? {body: JSON.stringify(body)} : {})}
    const answer = (await (await fetch(server.server + path, init)).json()) as {code: number; data: never; msg: string}
    expect(answer, `${method} ${path}`).toMatchObject({code: 0})
    return answer.data as never as Record<string, never> & {[name: string]: unknown}
  }
}

async function numberOf(fleet: WholeFleet, claim: Claim): Promise<number> {
  return (await fleet.instance(claim)).number
}

async function terminal({server}: WholeFleet, query: string) {
  const address = `${server.server.replace('http', 'ws')}/api/v1/instance/terminal?${query}`
  const socket = new WebSocket(address, {headers: {'x-token': server.token}})
  onTestFinished(() => socket.terminate())
  const heard = {output: '', notices: [] as string[]}
  socket.on('message', (message, isBinary) => {
    if (isBinary) heard.output += message.toString()
    else heard.notices.push(message.toString())
  })
  const closed = once(socket, 'close')
  await once(socket, 'open')
  const type = (data: string) => socket.send(JSON.stringify({type: 'input', data}))
  return {socket, heard, closed, type}
}

describe('the rental API on a real engine', () => {
  test('W3.1-19 W6.5-9: a log is one text of both streams, with times and without frame heads; tail cuts it', async context => {
    await needEngine(context)
    const fleet = await wholeFleet()
    const rental = rentalOf(fleet)
    const script =
      'echo "out ü"; echo err >&2; for n in 1 2 3; do echo "line $n"; done; trap "exit 0" TERM; sleep 99 & wait'
    const claim = await fleet.running({command: ['sh', '-c', script]})
    const id = await numberOf(fleet, claim)

    const text = await eventually(async () => {
      const log = (await rental('GET', `/instance/getContainerLogs?id=${id}`)) as unknown as string
      return log.includes('line 3') && log.includes('err') ? log : undefined
    })
    const lines = text.trimEnd().split('\n')
    expect(lines).toHaveLength(5)
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z (out ü|err|line \d)$/)
    const last = (await rental('GET', `/instance/getContainerLogs?ID=${id}&tail=1`)) as unknown as string
    expect(last).toMatch(/^\S+Z \S.*\n$/)
  })

  test('W3.1-20 W3.5: statistics have the document’s nine fields, as numbers, and the raw processor figure', async context => {
    await needEngine(context)
    const fleet = await wholeFleet()
    const claim = await fleet.running({memoryMiB: 64, cpus: 1, command: ['sh', '-c', 'while :; do :; done']})

    const stats = await rentalOf(fleet)('GET', `/instance/getContainerStats?id=${await numberOf(fleet, claim)}`)

    const names = ['cpuPercent', 'memoryUsage', 'memoryLimit', 'memoryPercent', 'networkRx', 'networkTx', 'blockRead']
    expect(Object.keys(stats).sort()).toEqual([...names, 'blockWrite', 'pids', 'cpuPercentRaw'].sort())
    for (const value of Object.values(stats)) expect(value).toEqual(expect.any(Number))
    expect(stats.memoryLimit).toBe(64 * 1024 * 1024)
    expect(stats.cpuPercent).toBeGreaterThan(1)
    expect(stats.cpuPercent).toBeLessThanOrEqual(100)
    expect(stats.pids).toBeGreaterThanOrEqual(1)
  })

  test('W3.1-21 W3.6: the terminal is a real one: a shell though bash is missing, its size, its end', async context => {
    await needEngine(context)
    const fleet = await wholeFleet()
    const id = await numberOf(fleet, await fleet.running())
    const {socket, heard, closed, type} = await terminal(fleet, `id=${id}&shell=bash&cols=111&rows=33`)

    type('echo "typed-$((6*7))"; stty size\r')
    await eventually(() => heard.output.includes('typed-42') && heard.output.includes('33 111'))
    socket.send('{"type":"resize","cols":90,"rows":20}')
    await eventually(async () => {
      type('stty size; echo $TERM\r')
      return heard.output.includes('20 90')
    })
    expect(heard.output).toContain('xterm-256color')
    expect(heard.notices).toEqual([])

    type('exit 3\r')
    const [code] = await closed
    expect(code).toBe(1000)
    expect(heard.notices.join('')).toContain('The shell ended with 3.')
  })

  test('W3.1-13 W3.1-18 W3.3-1 W3.3-2 W3.3-3 W3.3-4: an instance of the catalogue runs as its spec says, and leaves neither container nor volume behind', async context => {
    await needEngine(context)
    const fleet = await wholeFleet()
    const rental = rentalOf(fleet)
    const image = await rental('POST', '/imageRegistry/createImageRegistry', {name: 'shell', address: busyboxImage})
    const figures = {gpuCount: 1, cpuCores: 1, memoryGb: 1, dataDiskGb: 1}
    const spec = await rental('POST', '/product/createProductSpec', {name: 'one card', ...figures})
    const [node] = (await rental('GET', '/computeNode/getComputeNodeList')).list as unknown as {ID: number}[]

    const wish = {imageId: image.ID, productSpecId: spec.ID, computeNodeId: node?.ID, name: 'shell'}
    const {ID, uuid} = await rental('POST', '/instance/createInstance', wish)
    await eventually(async () => (await rental('GET', `/instance/findInstance?ID=${ID}`)).status === 'running', {
      withinMs: 20_000,
    })
    const {claimId} = await fleet.client.call('instances.get', {id: String(uuid)})
    const {Mounts, HostConfig, Config, Name} = await fleet.container({id: claimId})
    expect(Config.Image).toBe(busyboxImage)
    expect(Config.Labels).toMatchObject({
      ...{'managed-by': 'docker-gpu-manage', instance: Name.slice(1)},
      ...{'gpuctl.claim': claimId, 'gpuctl.name': 'shell'},
    })
    expect(Mounts).toMatchObject([{Type: 'volume', Name: `gpuctl-${claimId}-data`, Destination: '/data'}])
    expect(HostConfig).toMatchObject({NanoCpus: 1e9, Memory: 2 ** 30})

    await rental('DELETE', '/instance/deleteInstance', {ID})
    await eventually(async () => (await fleet.containers()).length === 0, {withinMs: 20_000})
    await eventually(async () => {
      const {Volumes} = await fleet.docker.listVolumes()
      return !Volumes.some(({Name}) => Name.includes(claimId))
    })
  })

  test('W3.1-8 W3.1-9: a machine is added with its certificates, its test says what the document shows, and it runs work', async context => {
    const missing = await dockerdMissing()
    if (missing) context.skip(missing)
    need(context, 'busybox', 'openssl')
    const plane = await rentalPlane()
    const token = plane.adminToken
    const certificates = await makeCertificates(await temporaryDirectory('gpuctl-certificates-'))
    const engine = await testDockerd({name: 'rented', tls: certificates})
    await ensureBusyboxImage(engine)
    const address = {dockerAddress: `tcp://127.0.0.1:${engine.port}`, publicIp: '127.0.0.1', privateIp: '127.0.0.1'}
    const keys = {caCert: certificates.ca, clientCert: certificates.client.cert, clientKey: certificates.client.key}

    const node = await plane.data('POST', '/computenode/createComputeNode', {
      ...{token, body: {name: 'rented', ...address, ...keys}},
    })
    expect(node).toMatchObject({dockerStatus: 'connected', useTls: true, isListed: true})
    const tested = await plane.call('POST', '/computenode/testDockerConnection', {token, body: {ID: node.ID}})
    expect(tested.json).toEqual({
      ...{code: 0, data: {status: 'connected', message: 'Docker 连接成功'}, msg: '测试完成'},
    })

    const body = {name: 'shell', address: busyboxImage}
    const image = await plane.data('POST', '/imageregistry/createImageRegistry', {token, body})
    const spec = await plane.data('POST', '/product/createProductSpec', {token, body: {name: 'no card', cpuCores: 1}})
    const wish = {imageId: image.ID, productSpecId: spec.ID, computeNodeId: node.ID, name: 'shell'}
    const {ID} = await plane.data('POST', '/instance/createInstance', {token, body: wish})
    await eventually(
      async () => (await plane.data('GET', `/instance/findInstance?ID=${ID}`, {token})).status === 'running',
      {withinMs: 30_000},
    )
    await plane.data('DELETE', '/instance/deleteInstance', {token, body: {ID}})
  })
})
