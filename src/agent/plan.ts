import type {DesiredInstance} from '../contract/agent-protocol.ts'
import type {FoundContainer} from '../runtime/driver.ts'
import type {InstanceRecord} from './instance-record.ts'

/** The next thing to do for one instance. `rest`: it is as it should be, or only the server can decide. */
export type Step = 'create' | 'limit' | 'start' | 'stop' | 'remove' | 'rest'

/**
 * Wanted × found × remembered → the next step. Pure; the caller does it, looks again and asks again until `rest`.
 * A container that ended is not started again before the server raises the generation: restarting is the server's rule.
 */
export function nextStep(wanted: DesiredInstance, found: FoundContainer | undefined, record: InstanceRecord): Step {
  if (wanted.state === 'removed') return found ? 'remove' : 'rest'
  if (found && hasOtherLimits(wanted, record)) return 'limit'
  if (wanted.state === 'stopped') return found?.state === 'running' ? 'stop' : 'rest'
  if (record.failed?.generation === wanted.generation) return 'rest'
  if (wasStarted(wanted, found, record)) return 'rest'
  if (!found) return 'create'
  // A start that was not begun here for this generation is one of an older generation.
  return found.state === 'running' ? 'stop' : 'start'
}

/** Whatever came of it, the runtime is told once. */
function hasOtherLimits({cpus, memoryMiB}: DesiredInstance, {limits}: InstanceRecord): boolean {
  const isOther = (wanted: number | undefined, told: number | undefined) => wanted !== undefined && wanted !== told
  return isOther(cpus, limits?.cpus) || isOther(memoryMiB, limits?.memoryMiB)
}

/** The start that the wanted generation asks for has happened. */
function wasStarted(
  wanted: DesiredInstance,
  found: FoundContainer | undefined,
  {begun, vanished}: InstanceRecord,
): boolean {
  if (!begun || begun.generation < wanted.generation) return false
  if (!found) return vanished
  return found.state !== 'created' && found.startedAt !== begun.startedAtBefore
}

/** Containers, by allocation, that nobody wants. */
export function strays(wanted: readonly string[], found: ReadonlyMap<string, FoundContainer>): FoundContainer[] {
  const known = new Set(wanted)
  return [...found].filter(([allocationId]) => !known.has(allocationId)).map(([, container]) => container)
}
