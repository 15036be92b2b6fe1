import type {Client} from '../client/client.ts'
import type {Claim} from '../contract/schemas/claims.ts'
import {exitCode} from './exit-codes.ts'
import {waitFor} from './wait.ts'

const finalPhases: ReadonlySet<string> = new Set(['Completed', 'Failed', 'Released'])
/** How often the server is asked why a claim still waits. */
const explainEveryMs = 3_000

export function isFinal({status}: Claim): boolean {
  return finalPhases.has(status.phase)
}

/**
 * Waits until the claim's instance runs, or with `completed` until the claim is over; says on stderr why it takes long.
 * `called` is what to name it by afterwards, where that is not its id.
 */
export function followClaim(
  client: Client,
  id: string,
  options: {until: 'running' | 'completed'; called?: string; timeoutMs?: number; quiet: boolean},
): Promise<Claim> {
  const {until, called = id, timeoutMs, quiet} = options
  let verdict = ''
  let explainedAt = Number.NEGATIVE_INFINITY
  return waitFor<Claim>({
    look: signal => client.call('claims.get', {id}, {signal}),
    isDone: claim => isFinal(claim) || (until === 'running' && claim.status.phase === 'Running'),
    describe: async ({name, status}, signal) => {
      if (status.phase !== 'Pending') return inWords(name, status)
      if (performance.now() - explainedAt > explainEveryMs) {
        explainedAt = performance.now()
        verdict = (await client.call('claims.explain', {id}, {signal})).verdict
      }
      return `${name} is queued. ${status.reason && verdict.startsWith('It fits') ? status.reason : verdict || status.reason || 'It waits its turn.'}`
    },
    goOn: `gpuctl claim wait ${called} --for ${until}`,
    timeoutMs,
    quiet,
  })
}

function inWords(name: string, {phase, nodeName, reason}: Claim['status']): string {
  if (phase === 'Scheduled') return `${name} is being started on ${nodeName}${reason ? `: ${reason}` : ''}`
  return `${name} is ${phase}${nodeName ? ` on ${nodeName}` : ''}${reason ? `: ${reason}` : ''}`
}

/** The workload's own exit code once it ended; a claim that failed without one is 1. */
export function exitCodeOfClaim({status}: Claim): number {
  if (status.phase === 'Completed') return status.exitCode ?? exitCode.ok
  if (status.phase === 'Failed') return status.exitCode || exitCode.failure
  return status.phase === 'Released' ? exitCode.failure : exitCode.ok
}
