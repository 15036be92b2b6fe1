import {join} from 'node:path'
import {setTimeout as pause} from 'node:timers/promises'
import {Api} from '../api.ts'
import type {RowContext} from '../row.ts'
import {ServerProcess} from '../server-process.ts'
import {WorkerProcess} from '../worker-process.ts'
import type {FleetJob} from '../workers/simulated-fleet.ts'

export interface FleetServer {
  server: ServerProcess
  api: Api
  /** How long it took until all machines were connected, in milliseconds. */
  connectedAfterMs: number
}

/** A server with that many simulated machines, all online, in a process of their own. Goes away with the row. */
export async function serverWithFleet(
  context: RowContext,
  {nodes, gpus, beatMs}: {nodes: number; gpus: number; beatMs: number},
): Promise<FleetServer> {
  const server = await ServerProcess.start({program: context.program, data: join(context.folder, 'data')})
  context.atEnd(() => server.stop())
  const api = new Api(server)
  context.atEnd(() => api.close())
  const fleet = new WorkerProcess<FleetJob, void>('simulated-fleet')
  context.atEnd(() => fleet.stop())
  const since = performance.now()
  context.progress(`${nodes} simulated nodes connect`)
  await fleet.run({server: {url: server.url, token: server.token}, nodes, gpus, beatMs})
  const deadline = performance.now() + 30_000 + nodes * 100
  for (;;) {
    const status = await api.ok<{nodes: {online: number}; gpus: {free: number}}>('GET', '/status')
    if (status.nodes.online >= nodes && status.gpus.free >= nodes * gpus) break
    if (performance.now() > deadline)
      throw new Error(`Only ${status.nodes.online} of ${nodes} simulated nodes came online.`)
    await pause(200)
  }
  return {server, api, connectedAfterMs: performance.now() - since}
}
