import {subscribe, unsubscribe} from 'node:diagnostics_channel'
import {once} from 'node:events'
import {type ClientRequest, createServer} from 'node:http'
import {join} from 'node:path'
import {inspect} from 'node:util'
import {expect, onTestFinished, test} from 'vitest'
import {DockerEngine} from '../../src/runtime/docker-engine.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

test('a call of the engine costs no more when many are open: what its client writes for a log tells of no connection', async () => {
  const socketPath = join(await temporaryDirectory('gpuctl-engine-'), 'docker.sock')
  const server = createServer((_, answer) => answer.setHeader('content-type', 'application/json').end('{}'))
  server.listen(socketPath)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const requests: ClientRequest[] = []
  const see = (message: unknown) => void requests.push((message as {request: ClientRequest}).request)
  subscribe('http.client.request.start', see)
  onTestFinished(() => void unsubscribe('http.client.request.start', see))

  const engine = new DockerEngine({socketPath})
  for (let n = 0; n < 3; n++) await engine.call('Asking', docker => docker.version())

  expect(requests).toHaveLength(3)
  for (const {agent} of requests as unknown as {agent: object}[]) {
    expect(inspect(agent, {showHidden: true, depth: null})).toBe('Agent')
  }
})
