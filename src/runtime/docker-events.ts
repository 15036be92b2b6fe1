import type {Readable} from 'node:stream'
import {type DockerEngine, deadlineMs, pieces} from './docker-engine.ts'
import {JsonLineReader} from './docker-frames.ts'
import {RuntimeError, type RuntimeEvent} from './driver.ts'

/** An engine that hangs sends no events and closes nothing: it is asked this often. */
const pingEveryMs = 10_000

const kinds: Record<string, RuntimeEvent['kind']> = {
  start: 'started',
  die: 'exited',
  destroy: 'removed',
  create: 'changed',
  oom: 'changed',
  pause: 'changed',
  unpause: 'changed',
  rename: 'changed',
  update: 'changed',
}

/** The engine's events of containers with these labels. Asks at once, not when the first one is wanted, so that nothing is missed. */
export function watchContainers(
  engine: DockerEngine,
  labels: string[],
  signal: AbortSignal,
): AsyncIterable<RuntimeEvent> {
  const doing = 'Watching containers'
  const filters = {type: ['container'], event: Object.keys(kinds), label: labels}
  const request = {path: '/events', query: {filters}}
  const opened = engine.stream(doing, request, signal)
  opened.catch(() => {}) // told by the first read
  return read(engine, opened, doing, signal)
}

async function* read(
  engine: DockerEngine,
  opened: Promise<Readable>,
  doing: string,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent> {
  const stream = await opened.catch(error => {
    if (signal.aborted) return undefined
    throw error
  })
  if (!stream) return
  const pinging = setInterval(() => {
    engine.call('ping', docker => docker.ping(), deadlineMs.ping).catch(error => stream.destroy(error))
  }, pingEveryMs)
  pinging.unref()
  const reader = new JsonLineReader()
  try {
    for await (const piece of pieces(stream, doing, signal)) {
      for (const event of reader.read(piece) as {Action?: string; Actor?: {ID?: string}}[]) {
        const kind = kinds[event.Action ?? '']
        if (kind && event.Actor?.ID) yield {containerId: event.Actor.ID, kind}
      }
    }
  } finally {
    clearInterval(pinging)
  }
  if (!signal.aborted) throw new RuntimeError('unreachable', `${doing}: the Docker Engine closed the stream.`)
}
