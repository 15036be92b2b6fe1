import {setTimeout as delay} from 'node:timers/promises'

/**
 * Calls `look` until it neither throws nor answers false, null or undefined, and returns that answer.
 *
 * Throws after `withinMs` (default 5,000) with the last thing seen and the last error, so that a failure says more
 * than "timed out". The last look happens at the deadline itself.
 */
export async function eventually<T>(
  look: () => T | Promise<T>,
  {withinMs = 5_000, everyMs = 20, what}: {withinMs?: number; everyMs?: number; what?: string} = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + withinMs
  let looks = 0
  for (;;) {
    looks++
    const isLast = performance.now() >= deadline
    const seen = await attempt(look)
    if ('value' in seen && seen.value !== false && seen.value !== undefined && seen.value !== null) {
      return seen.value as NonNullable<Exclude<T, false>>
    }
    if (isLast) {
      const last =
        'error' in seen ? `the last look threw: ${text(seen.error)}` : `the last look saw ${text(seen.value)}`
      const cause = 'error' in seen ? seen.error : undefined
      throw new Error(`${what ?? look.toString()} did not come true in ${withinMs} ms (${looks} looks); ${last}`, {
        cause,
      })
    }
    await delay(Math.min(everyMs, Math.max(1, deadline - performance.now())))
  }
}

async function attempt<T>(look: () => T | Promise<T>): Promise<{value: T} | {error: unknown}> {
  try {
    return {value: await look()}
  } catch (error) {
    return {error}
  }
}

function text(value: unknown): string {
  return value instanceof Error ? value.message : String(value)
}
