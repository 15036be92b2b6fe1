import {createServer, type IncomingMessage, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import {onTestFinished} from 'vitest'

export interface Asked {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: unknown
}

type Answer = unknown | ((request: IncomingMessage, response: ServerResponse) => void)

/** A refusal in the envelope of the native API. */
export class Refusal {
  readonly status: number
  readonly body: {error: {code: string; message: string; hint: string; details: object; requestId: string}}

  constructor(status: number, code: string, message: string, hint = '') {
    this.status = status
    this.body = {error: {code, message, hint, details: {a: 1}, requestId: 'req-1'}}
  }
}

/** A small HTTP server that speaks the native envelope: what it answers stands in the table, `METHOD path` under the prefix. */
export async function nativeServer(answers: Record<string, Answer>): Promise<{url: string; asked: Asked[]}> {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const path = (request.url ?? '').replace('/gpuctl/v1', '')
    const text = Buffer.concat(pieces).toString()
    asked.push({
      method: request.method ?? '',
      path,
      headers: request.headers,
      body: text ? JSON.parse(text) : undefined,
    })
    const answer = answers[`${request.method} ${path.split('?')[0]}`]
    if (typeof answer === 'function') return answer(request, response)
    const missing = new Refusal(404, 'route_unknown', `nothing at ${request.method} ${path}`)
    const found = answer === undefined ? missing : answer
    const isRefusal = found instanceof Refusal
    response.writeHead(isRefusal ? found.status : 200, {'content-type': 'application/json'})
    response.end(JSON.stringify(isRefusal ? found.body : found))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    return new Promise<void>(resolve => server.close(() => resolve()))
  })
  return {url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked}
}

/** Begins an event stream and sends these. */
export function sendEvents(response: ServerResponse, events: {id?: string; event?: string; data: unknown}[]): void {
  if (!response.headersSent) response.writeHead(200, {'content-type': 'text/event-stream'}).write('retry: 10\n\n')
  for (const {id, event, data} of events) {
    response.write(`${id ? `id: ${id}\n` : ''}${event ? `event: ${event}\n` : ''}data: ${JSON.stringify(data)}\n\n`)
  }
}
