import type {Services} from '../domain/services/services.ts'
import {type Clock, sleep} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'

const everyMs = 30_000
/** Between two engines, so that a large fleet is not asked all at once. */
const apartMs = 100

/** Asks the Docker Engine of each agentless node every 30 s whether it answers (wire.md 3.5), until `stop`. */
export function pingEngines({services, clock, logger}: {services: Services; clock: Clock; logger: Logger}): {
  stop(): Promise<void>
} {
  const ending = new AbortController()
  const {signal} = ending
  const round = async () => {
    for (const nodeId of await services.nodes.withEngines()) {
      if (signal.aborted) return
      services.nodes.pingEngine(nodeId).catch(error => logger.warn({err: error, nodeId}, 'an engine was not asked'))
      await sleep(clock, apartMs, signal)
    }
  }
  const running = (async () => {
    while (!signal.aborted) {
      await round().catch(error => signal.aborted || logger.warn({err: error}, 'the engines were not asked'))
      await sleep(clock, everyMs, signal).catch(() => {})
    }
  })()
  return {
    stop() {
      ending.abort()
      return running
    },
  }
}
