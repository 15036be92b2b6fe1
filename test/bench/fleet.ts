import {simulate} from '../../src/main/simulator.ts'
import {createLogger} from '../../src/platform/logger.ts'
import {Api} from './api.ts'

/** A token with which that many machines join without being asked. */
export async function createJoinToken(server: {url: string; token: string}, uses: number): Promise<string> {
  const api = new Api(server)
  try {
    const body = {name: `bench-${Date.now()}`, uses, autoApprove: true}
    return (await api.ok<{secret: string}>('POST', '/join-tokens', {body})).secret
  } finally {
    api.close()
  }
}

export interface Machines {
  /** Resolves when every machine belongs to the server and its link is open. */
  connected: Promise<void>
  /** Resolves when they have gone; rejects when they could not go on. */
  ended: Promise<void>
}

/** Simulated machines that stay connected to the server, through its crashes, until aborted. */
export async function connectMachines(options: {
  server: {url: string; token: string}
  nodes: number
  gpus: number
  beatMs: number
  signal: AbortSignal
}): Promise<Machines> {
  const {server, nodes, gpus, beatMs, signal} = options
  const joinToken = await createJoinToken(server, nodes)
  const logger = createLogger({level: 'silent'})
  let ended: Promise<unknown> = Promise.resolve()
  const connected = new Promise<void>((resolve, reject) => {
    const onProgress = ({up}: {up: number}) => up === nodes && resolve()
    ended = simulate({server: server.url, joinToken, nodes, gpus, beatMs, logger, signal, onProgress})
    ended.catch(reject)
  })
  connected.catch(() => {}) // told by `ended` as well
  return {connected, ended: ended.then(() => {})}
}

/** The n-th address of this machine beyond 127.0.0.1. */
export function loopback(index: number): string {
  return `127.1.${Math.floor(index / 250)}.${1 + (index % 250)}`
}
