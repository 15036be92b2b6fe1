import {connectMachines} from '../fleet.ts'
import {serveJobs} from '../worker-process.ts'

export interface FleetJob {
  server: {url: string; token: string}
  nodes: number
  gpus: number
  beatMs: number
}

/** Connects the machines, answers when all are, and keeps them until this process ends. */
serveJobs<FleetJob, void>(async job => {
  const {signal} = new AbortController()
  const {connected, ended} = await connectMachines({...job, signal})
  ended.catch(error => {
    console.error(`The simulated machines gave up: ${error}`)
    process.exit(1)
  })
  await connected
})
