import {setTimeout as pause} from 'node:timers/promises'
import {Api} from './api.ts'
import {ClaimHistory} from './claim-history.ts'
import {type Spread, spreadOf} from './figures.ts'
import type {Machines} from './fleet.ts'
import {killWhileStarting, loggedErrors, ServerProcess} from './server-process.ts'
import {checkStore, type StoreVerdict} from './store-check.ts'

export interface KillLoopOptions {
  program: string
  /** An empty folder for the server's data. */
  data: string
  kills: number
  clients: number
  /** Longest time between the first answer of a server and its end. */
  longestLifeMs: number
  /** Keeps simulated machines connected to that server until aborted; claims then bind, run and end. */
  machines: (server: ServerProcess, signal: AbortSignal) => Promise<Machines>
  /** Ends the servers at once. */
  signal?: AbortSignal
  onProgress?: (text: string) => void
}

export interface KillLoopResult {
  /** Kills that hit a server which had answered its clients since its start. Must be as many as were asked for. */
  fired: number
  /** Further ones that hit a server while it started. */
  firedWhileStarting: number
  counts: ClaimHistory['counts']
  acknowledged: number
  ready: Spread
  /** Errors that the servers wrote into their log. */
  loggedErrors: string[]
  store: StoreVerdict
  /** All broken promises, of the answers and of the store. */
  faults: string[]
}

const answersWithinMs = 20_000
const replayed = 5_000

/**
 * F1: a server under load is killed at random moments and started again, and at the end what is left is compared with
 * what its clients were told.
 */
export async function killLoop(options: KillLoopOptions): Promise<KillLoopResult> {
  const {program, data, kills, clients, longestLifeMs, machines, signal, onProgress = () => {}} = options
  const readyMs: number[] = []
  let server = await ServerProcess.start({program, data, signal})
  const start = {program, data, signal, listen: `127.0.0.1:${server.port}`}
  const api = new Api({url: server.url, token: server.token})
  const history = new ClaimHistory({api: () => api})
  const over = new AbortController()
  const fleet = await machines(server, over.signal)
  const running = fleet.ended.catch(error => {
    if (!over.signal.aborted) history.faults.push(`the simulated machines gave up: ${error}`)
  })
  let fired = 0
  let firedWhileStarting = 0
  try {
    await fleet.connected
    history.start(clients)
    while (fired < kills) {
      await answered(history, server)
      await pause(lifeMs(fired, longestLifeMs))
      if (!server.isAlive) throw new Error('The server ended by itself.')
      const exit = await server.kill9()
      if (exit.signal !== 'SIGKILL') throw new Error(`The server ended by itself, with ${exit.code}.`)
      fired++
      if (fired % 8 === 0 && (await killWhileStarting(start, Math.random() * 250))) firedWhileStarting++
      server = await ServerProcess.start(start)
      readyMs.push(server.readyAfterMs)
      if (fired % 10 === 0) onProgress(`${fired} of ${kills} kills, ${history.acknowledged.size} claims acknowledged`)
    }
    await history.finish()
    await history.replayAll(replayed)
  } finally {
    over.abort()
    await running
    api.close()
    await server.stop()
  }
  const store = await checkStore(data, history.acknowledged)
  const faults = [...history.faults, ...store.faults]
  const {counts, acknowledged} = history
  return {
    fired,
    firedWhileStarting,
    counts,
    acknowledged: acknowledged.size,
    ready: spreadOf(readyMs),
    loggedErrors: loggedErrors(data),
    store,
    faults,
  }
}

/** Most lives are short; every fifth is long enough for the machines to come back and for claims to run and end. */
function lifeMs(kill: number, longestLifeMs: number): number {
  return kill % 5 === 4 ? 3_000 + Math.random() * 2_000 : Math.random() * longestLifeMs
}

/** A kill counts when it hits a server that serves: so at least one answer must have come from this one. */
async function answered(history: ClaimHistory, server: ServerProcess): Promise<void> {
  const before = history.answers
  const deadline = performance.now() + answersWithinMs
  while (history.answers === before) {
    if (!server.isAlive) throw new Error('The server ended by itself.')
    if (performance.now() > deadline) throw new Error(`The server answered nobody in ${answersWithinMs / 1000} s.`)
    await pause(2)
  }
}
