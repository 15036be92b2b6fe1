import {createServer, type IncomingMessage, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import OpenAI from 'openai'
import {onTestFinished} from 'vitest'
import {type ControlPlane, controlPlane} from './control-plane.ts'
import {registerRuntime, type StandInOptions, standInRuntime} from './stand-in-runtime.ts'

export const model = 'gpt-oss-20b'
export const chat = {model, messages: [{role: 'user' as const, content: 'Hello?'}]}
export const chatPath = '/v1/chat/completions'

type PlaneOptions = NonNullable<Parameters<typeof controlPlane>[0]>

/** A server with so many approved runtimes, and OpenAI's own client with a key that opens models alone. */
export async function inferenceWorld(runtimes: StandInOptions[] = [{}], options: PlaneOptions = {}) {
  const plane = await controlPlane(options)
  const there = await Promise.all(runtimes.map(one => standInRuntime(one)))
  const ids: string[] = []
  for (const [index, one] of there.entries()) {
    ids.push((await registerRuntime(plane, one, {machineName: `server-${index + 1}`})).id)
  }
  return {plane, runtimes: there, ids, runtime: there[0]!, ...(await keyFor(plane))}
}

/** A key for models with these bounds, and a client that uses it. */
export async function keyFor(plane: ControlPlane, limits: Record<string, unknown> = {}) {
  const name = `bot-${Math.random().toString(36).slice(2)}`
  const input = {name, scopes: ['inference'], ...limits}
  const {secret: key} = await plane.ok<{secret: string}>('tokens.create', input, {token: plane.adminToken})
  return {key, client: new OpenAI({apiKey: key, baseURL: `${plane.url}/v1`, maxRetries: 0})}
}

/** A runtime that answers calls of its model as the test says. Ends with the test. */
export async function runtimeThat(answer: (request: IncomingMessage, response: ServerResponse) => unknown) {
  const server = createServer((request, response) => {
    if (request.url !== '/v1/models') return answer(request, response)
    response.setHeader('content-type', 'application/json')
    return response.end(JSON.stringify({data: [{id: model}]}))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return {host: '127.0.0.1', port: (server.address() as AddressInfo).port - 1, server}
}

/** Something that a test lets happen, and waits for elsewhere. */
export function gate(): {open: () => void; opened: Promise<void>} {
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return {open, opened}
}
