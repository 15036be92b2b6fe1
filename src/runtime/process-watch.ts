import {type FSWatcher, watch} from 'node:fs'
import {join} from 'node:path'
import type {Clock} from '../platform/clock.ts'
import type {FoundContainer, RuntimeEvent} from './driver.ts'

/** A watch can miss a change, and says nothing when a supervisor is killed. */
const lookAgainMs = 1_000

/** Changes of the instances under a folder: compares what is there with what was, whenever a file changes. */
export async function* watchProcesses(
  stateDirectory: string,
  first: Promise<FoundContainer[]>,
  list: () => Promise<FoundContainer[]>,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent> {
  const watchers = new Map<string, FSWatcher>()
  let wake = () => {}
  let changed = false
  const observe = (id: string) => {
    if (watchers.has(id)) return
    try {
      const watcher = watch(join(stateDirectory, id), () => {
        changed = true
        wake()
      })
      watcher.on('error', () => {})
      watchers.set(id, watcher)
    } catch {
      // gone already, or no watch is left: the timer finds it
    }
  }
  observe('.')
  try {
    let before = await first
    while (!signal.aborted) {
      for (const {containerId} of before) observe(containerId)
      await new Promise<void>(resolve => {
        const done = () => {
          timer.cancel()
          signal.removeEventListener('abort', done)
          wake = () => {}
          resolve()
        }
        const timer = clock.setTimeout(done, lookAgainMs, {unref: true})
        signal.addEventListener('abort', done, {once: true})
        wake = done
        if (changed || signal.aborted) done()
      })
      changed = false
      if (signal.aborted) return
      const now = await list()
      for (const event of differences(before, now)) {
        if (event.kind === 'removed') {
          watchers.get(event.containerId)?.close()
          watchers.delete(event.containerId)
        }
        yield event
      }
      before = now
    }
  } finally {
    for (const watcher of watchers.values()) watcher.close()
  }
}

function differences(before: readonly FoundContainer[], now: readonly FoundContainer[]): RuntimeEvent[] {
  const old = new Map(before.map(one => [one.containerId, one]))
  const events: RuntimeEvent[] = []
  for (const one of now) {
    const {containerId} = one
    const was = old.get(containerId)
    old.delete(containerId)
    const isNewStart = one.startedAt !== (was?.startedAt ?? '')
    if (isNewStart) events.push({containerId, kind: 'started'})
    if (one.state === 'exited' && (was?.state !== 'exited' || isNewStart)) events.push({containerId, kind: 'exited'})
    if (!was && one.state === 'created') events.push({containerId, kind: 'changed'})
  }
  return [...events, ...[...old.keys()].map(containerId => ({containerId, kind: 'removed' as const}))]
}
