import {readFileSync, writeFileSync} from 'node:fs'

/**
 * Begins a process of somebody else's. The agent may be spared when memory runs out (OOMScoreAdjust of its unit); what is
 * begun here is not: a score goes over from parent to child, so it is 0 at that moment.
 */
export function unspared<T>(begin: () => T, path = '/proc/self/oom_score_adj'): T {
  const own = read(path)
  if (!(own < 0)) return begin()
  try {
    writeFileSync(path, '0')
    return begin()
  } finally {
    tryTo(() => writeFileSync(path, String(own)))
  }
}

/** NaN where there is none, as beyond Linux. */
function read(path: string): number {
  return Number(tryTo(() => readFileSync(path, 'utf8')) ?? Number.NaN)
}

function tryTo<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}
