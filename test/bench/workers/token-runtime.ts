import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {serveJobs} from '../worker-process.ts'

export interface TokenRuntimeJob {
  model: string
  /** Of each answer. */
  tokens: number
  /** Between two tokens of an answer. */
  everyMs: number
}

/** A runtime that streams tokens at its pace, the first one at once. */
serveJobs<TokenRuntimeJob, {port: number}>(async ({model, tokens, everyMs}) => {
  const piece = `data: {"id":"c","object":"chat.completion.chunk","model":"${model}","choices":[{"index":0,"delta":{"content":"word"}}]}\n\n`
  const server = createServer((request, response) => {
    if (request.url === '/v1/models') {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({data: [{id: model}]}))
      return
    }
    request.resume()
    request.once('end', () => {
      response.writeHead(200, {'content-type': 'text/event-stream'})
      response.write(piece)
      const startedAt = performance.now()
      let sent = 1
      const timer = setInterval(() => {
        // By the clock, so that a late timer costs no tokens.
        const due = Math.min(tokens, 1 + Math.floor((performance.now() - startedAt) / everyMs))
        for (; sent < due; sent++) response.write(piece)
        if (sent < tokens) return
        clearInterval(timer)
        response.end('data: [DONE]\n\n')
      }, everyMs)
      response.once('close', () => clearInterval(timer))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {port: (server.address() as AddressInfo).port}
})
