import {createServer, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import {serveJobs} from '../worker-process.ts'

export interface SerialisingJob {
  /** Data of an event of the real server. */
  sample: {at: string; nodes: object[]}
  tickMs: number
}

/** The plain way to stream: at each tick JSON.stringify once for every subscriber. */
serveJobs<SerialisingJob, {port: number}>(async ({sample, tickMs}) => {
  const subscribers = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    response.writeHead(200, {'content-type': 'text/event-stream', 'cache-control': 'no-store'})
    response.write(': hello\n\n')
    subscribers.add(response)
    request.once('close', () => subscribers.delete(response))
  })
  setInterval(() => {
    const at = new Date().toISOString()
    for (const response of subscribers) response.write(`data: ${JSON.stringify({at, nodes: sample.nodes})}\n\n`)
  }, tickMs)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {port: (server.address() as AddressInfo).port}
})
