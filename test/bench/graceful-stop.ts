import {setTimeout as pause} from 'node:timers/promises'
import {Api} from './api.ts'
import {ClaimHistory} from './claim-history.ts'
import {type Spread, spreadOf} from './figures.ts'
import {ServerProcess} from './server-process.ts'
import {checkStore} from './store-check.ts'

export interface GracefulStopResult {
  fired: number
  acknowledged: number
  /** From SIGTERM to the end of the process. */
  stop: Spread
  faults: string[]
}

const exitWithinMs = 10_000

/** F22: SIGTERM under load, again and again. Each time exit 0 within 10 s, and nothing acknowledged is lost. */
export async function gracefulStops(options: {
  program: string
  data: string
  stops: number
  clients: number
  /** Ends the servers at once. */
  signal?: AbortSignal
}): Promise<GracefulStopResult> {
  const {program, data, stops, clients, signal} = options
  let server = await ServerProcess.start({program, data, signal})
  const listen = `127.0.0.1:${server.port}`
  const api = new Api({url: server.url, token: server.token})
  const history = new ClaimHistory({api: () => api})
  const stopMs: number[] = []
  const faults: string[] = []
  try {
    history.start(clients)
    while (stopMs.length < stops) {
      const before = history.answers
      const deadline = performance.now() + exitWithinMs
      while (history.answers < before + clients) {
        if (performance.now() > deadline) throw new Error('The server answers its clients no more.')
        await pause(5)
      }
      await pause(Math.random() * 200)
      const {code, signal: by, afterMs} = await server.stop()
      stopMs.push(afterMs)
      if (code !== 0) faults.push(`after SIGTERM it ended with ${by ?? code}, not 0`)
      if (afterMs > exitWithinMs) faults.push(`after SIGTERM it took ${Math.round(afterMs)} ms to end`)
      server = await ServerProcess.start({program, data, listen, signal})
    }
    await history.finish()
    await history.replayAll(1_000)
  } finally {
    api.close()
    await server.stop()
  }
  const store = await checkStore(data, history.acknowledged)
  return {
    fired: stopMs.length,
    acknowledged: history.acknowledged.size,
    stop: spreadOf(stopMs),
    faults: [...faults, ...history.faults, ...store.faults],
  }
}
