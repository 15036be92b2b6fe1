import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {JoinRefused} from '../../src/agent/join.ts'
import type {Claim} from '../../src/contract/schemas/claims.ts'
import type {Node} from '../../src/contract/schemas/nodes.ts'
import {startControlServer} from '../../src/main/control-server.ts'
import {localTokenFile} from '../../src/main/local-fleet.ts'
import {type SimulationProgress, simulate} from '../../src/main/simulator.ts'
import {createLogger} from '../../src/platform/logger.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

async function serverOfItsOwn() {
  const directory = await temporaryDirectory()
  const server = await startControlServer({
    directory,
    addresses: [{host: '127.0.0.1', port: 0}],
    exposed: false,
    version: '0',
    logger: createLogger({level: 'silent'}),
    env: {},
    onFatal: error => {
      throw error
    },
  })
  onTestFinished(() => server.stop(100))
  const token = (await readFile(join(directory, localTokenFile), 'utf8')).trim()
  const url = server.urls[0] ?? ''
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const answer = await fetch(`${url}/gpuctl/v1${path}`, {
      method,
      headers: {authorization: `Bearer ${token}`, 'content-type': 'application/json'},
      body: body && JSON.stringify(body),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return JSON.parse(text) as T
  }
  return {url, call}
}

/** Ends with the test. */
function simulation(server: string, joinToken: string, nodes: number) {
  const stop = new AbortController()
  const progress: SimulationProgress[] = []
  const ended = simulate({
    ...{server, joinToken, nodes},
    gpus: 8,
    beatMs: 500,
    logger: createLogger({level: 'silent'}),
    signal: stop.signal,
    onProgress: now => void progress.push({...now}),
  })
  ended.catch(() => {})
  onTestFinished(async () => {
    stop.abort()
    await ended.catch(() => {})
  })
  return {stop, progress, ended}
}

test('simulated nodes join over real links, run claims, and leave together', async () => {
  const {url, call} = await serverOfItsOwn()
  const {secret} = await call<{secret: string}>('POST', '/join-tokens', {name: 'sim', uses: 100, autoApprove: true})
  const {stop, progress, ended} = simulation(url, secret, 30)
  await eventually(() => progress.at(-1)?.up === 30, {withinMs: 20_000})

  const nodes = await eventually(async () => {
    const found = await call<Node[]>('GET', '/nodes')
    return found.every(node => node.status === 'online' && node.gpus.length === 8) && found
  })
  expect(nodes).toHaveLength(30)
  expect(nodes.every(node => node.simulated && node.runtime === 'fake')).toBe(true)

  const claim = await call<Claim>('POST', '/claims', {image: 'cuda', gpus: {count: 8}})
  await eventually(async () => (await call<Claim>('GET', `/claims/${claim.id}`)).status.phase === 'Running')

  stop.abort()
  expect(await ended).toMatchObject({joined: 30, refused: 0})
  await eventually(async () => (await call<Node[]>('GET', '/nodes')).every(node => !node.connected))
})

test('a token that the server does not know is refused with its words', async () => {
  const {url} = await serverOfItsOwn()
  const {ended, progress} = simulation(url, 'wrong', 3)

  await expect(ended).rejects.toThrow(JoinRefused)
  expect(progress.at(-1)).toMatchObject({joined: 0, refused: 3})
})
