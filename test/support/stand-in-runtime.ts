import {createServer, type IncomingMessage, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import {setTimeout as delay} from 'node:timers/promises'
import {onTestFinished} from 'vitest'
import type {ControlPlane} from './control-plane.ts'

export interface StandInOptions {
  models?: string[]
  /** Of `/v1/models`; absent unless given. */
  readyModels?: [number, number]
  initializing?: boolean
  /** The list of models as a bare array. */
  bare?: boolean
  /** In place of the list of models. */
  listFault?: {status: number; body?: string; headers?: Record<string, string>}
  /** Of the API; a free one unless given. */
  port?: number
  host?: string
  /** Before the head of an answer, and between two pieces of a stream. */
  delayMs?: number
  pieceMs?: number
  /** Pieces of a stream before its end. */
  pieces?: number
}

export interface SeenRequest {
  method: string
  path: string
  /** With the query. */
  url: string
  headers: IncomingMessage['headers']
  body: string
  bytes: Buffer
  /** The caller went away before the answer was whole. */
  wasCut: boolean
}

/** What goes wrong with the next request to a path under /v1, once: a status, a cut connection, or a cut in a stream. */
export type Fault = {status: number; body?: string; headers?: Record<string, string>} | 'reset' | 'reset-in-stream'

/** An OpenAI-compatible API on this machine, with real sockets: what an inference runtime looks like from outside. Ends with the test. */
export async function standInRuntime(options: StandInOptions = {}) {
  const {models = ['gpt-oss-20b'], host = '127.0.0.1', pieces = 3} = options
  const settings = {delayMs: options.delayMs ?? 0, pieceMs: options.pieceMs ?? 0}
  const seen: SeenRequest[] = []
  const faults: Fault[] = []
  let active = 0
  let mostActive = 0

  const server = createServer(async (request, response) => {
    const {method = '', url = '', headers} = request
    const one: SeenRequest = {
      method,
      path: url.split('?', 1)[0] as string,
      url,
      headers,
      body: '',
      bytes: Buffer.alloc(0),
      wasCut: false,
    }
    seen.push(one)
    active += 1
    mostActive = Math.max(mostActive, active)
    response.once('close', () => {
      active -= 1
      one.wasCut = !response.writableFinished
    })
    const received: Buffer[] = []
    for await (const piece of request as AsyncIterable<Buffer>) received.push(piece)
    one.bytes = Buffer.concat(received)
    one.body = one.bytes.toString('utf8')
    await answer(one, response).catch(() => response.destroy())
  })

  async function answer({method, path, url, headers, body}: SeenRequest, response: ServerResponse): Promise<void> {
    if (settings.delayMs > 0) await delay(settings.delayMs)
    if (method === 'GET' && path === '/v1/models') {
      const {listFault} = options
      if (!listFault) return json(response, 200, options.bare ? modelList().data : modelList())
      return void response.writeHead(listFault.status, listFault.headers).end(listFault.body)
    }
    if (method === 'GET' && path === '/v0/logs') return json(response, 200, {lines: ['loaded'], asked: url})
    const fault = faults.shift()
    if (fault === 'reset') return void response.destroy()
    if (fault && fault !== 'reset-in-stream') {
      response.writeHead(fault.status, {'content-type': 'application/json', ...fault.headers})
      return void response.end(fault.body ?? JSON.stringify({error: {message: 'the stand-in was told to fail'}}))
    }
    const make = answers[path]
    if (!make || method !== 'POST') return json(response, 404, {error: {message: `nothing at ${path}`}})
    const isForm = headers['content-type']?.startsWith('multipart/form-data')
    const asked = isForm ? {} : (JSON.parse(body) as {model?: string; stream?: boolean})
    const model = asked.model ?? ''
    if (asked.stream) return stream(response, path, model, fault === 'reset-in-stream')
    return json(response, 200, make(model))
  }

  function modelList() {
    return {
      object: 'list',
      data: models.map(id => ({id, object: 'model', created: 0, owned_by: 'stand-in'})),
      ...(options.readyModels ? {ready_models: options.readyModels} : {}),
      ...(options.initializing === undefined ? {} : {initializing: options.initializing}),
    }
  }

  async function stream(response: ServerResponse, path: string, model: string, isCut: boolean): Promise<void> {
    response.writeHead(200, {'content-type': 'text/event-stream', 'set-cookie': 'stand-in=1', server: 'stand-in'})
    for (let piece = 0; piece < pieces && !response.destroyed; piece++) {
      response.write(
        `data: ${JSON.stringify({object: objectOf(path, '.chunk'), model, piece, choices: [{index: 0, delta: {content: `word${piece} `}}]})}\n\n`,
      )
      if (isCut) return void response.destroy()
      if (settings.pieceMs > 0) await delay(settings.pieceMs)
    }
    response.end('data: [DONE]\n\n')
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen({host, port: options.port ?? 0}, resolve)
  })
  const stop = () =>
    new Promise<void>(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  onTestFinished(stop)
  const apiPort = (server.address() as AddressInfo).port
  return {
    host,
    apiPort,
    /** As it is registered. */
    port: apiPort - 1,
    models,
    seen,
    /** Calls other than the list of models. */
    asked: () => seen.filter(({path}) => path !== '/v1/models'),
    /** For the next calls, one each, in order. */
    fail: (...next: Fault[]) => void faults.push(...next),
    /** How many faults have not happened yet: a test looks whether its own did. */
    faultsLeft: () => faults.length,
    settings,
    mostActive: () => mostActive,
    stop,
  }
}

export type StandInRuntime = Awaited<ReturnType<typeof standInRuntime>>

const objects: Record<string, string> = {
  '/v1/chat/completions': 'chat.completion',
  '/v1/completions': 'text_completion',
  '/v1/responses': 'response',
}
const objectOf = (path: string, end = '') => `${objects[path] ?? 'object'}${end}`

const usage = {prompt_tokens: 1, completion_tokens: 2, total_tokens: 3}
const answers: Record<string, (model: string) => unknown> = {
  '/v1/chat/completions': model => ({
    id: 'chatcmpl-1',
    ...{object: 'chat.completion', created: 0, model, usage},
    choices: [{index: 0, message: {role: 'assistant', content: 'Hello.'}, finish_reason: 'stop'}],
  }),
  '/v1/completions': model => ({
    id: 'cmpl-1',
    ...{object: 'text_completion', created: 0, model, usage},
    choices: [{index: 0, text: 'Hello.', finish_reason: 'stop'}],
  }),
  '/v1/embeddings': model => ({
    object: 'list',
    ...{model, usage: {prompt_tokens: 1, total_tokens: 1}},
    data: [{object: 'embedding', index: 0, embedding: [0.25, -0.5, 1]}],
  }),
  '/v1/audio/transcriptions': () => ({text: 'Hello.'}),
  '/v1/responses': model => ({
    id: 'resp-1',
    ...{object: 'response', created_at: 0, model, status: 'completed'},
    output: [{type: 'message', role: 'assistant', content: [{type: 'output_text', text: 'Hello.'}]}],
  }),
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(body))
}

let callers = 0

/** Each call from another loopback address, so that the limit of five a minute does not count them together. */
export function nextLoopbackAddress(): string {
  callers += 1
  return `127.0.${1 + Math.floor(callers / 250)}.${1 + (callers % 250)}`
}

export interface RegisteredRuntime {
  id: string
  token: string
}

/** Registers it in the words of document 000 and, unless `approve` is false, approves it. */
export async function registerRuntime(
  plane: ControlPlane,
  runtime: Pick<StandInRuntime, 'host' | 'port'>,
  {approve = true, machineName = 'server-01'}: {approve?: boolean; machineName?: string} = {},
): Promise<RegisteredRuntime> {
  const body = {
    machine_name: machineName,
    ip_address: runtime.host,
    runtime_version: '0.1.0',
    runtime_port: runtime.port,
    gpu_available: true,
    gpu_devices: [{model: 'NVIDIA RTX 4090', count: 1}],
  }
  const reply = await plane.call('POST', '/v0/nodes', {body, localAddress: nextLoopbackAddress()})
  if (reply.status !== 201 && reply.status !== 200)
    throw new Error(`the registration was answered with ${reply.status}: ${reply.text}`)
  const {runtime_id: id, runtime_token: token} = reply.json as {runtime_id: string; runtime_token: string}
  if (approve) await plane.ok('runtimes.approve', {id}, {token: plane.adminToken})
  return {id, token}
}

/** A beat in the words of document 000; answers the status. */
export async function beatRuntime(
  plane: ControlPlane,
  {id, token}: RegisteredRuntime,
  fields: Record<string, unknown> = {},
): Promise<number> {
  const body = {runtime_id: id, cpu_usage: 12.3, memory_usage: 45.6, active_requests: 0, ...fields}
  return (await plane.call('POST', '/v0/health', {body, headers: {'x-node-token': token}})).status
}
