import type {DesiredInstance} from '../contract/agent-protocol.ts'
import type {FoundContainer} from '../runtime/driver.ts'
import {label} from '../runtime/labels.ts'
import type {InstanceRecord} from './instance-record.ts'

/** The next thing to do for one instance. `rest`: it is as it should be, or only the server can decide. */
export type Step = 'create' | 'discard' | 'limit' | 'start' | 'stop' | 'remove' | 'rest'

/**
 * Wanted × found × remembered → the next step. Pure; the caller does it, looks again and asks again until `rest`.
 * A container that ended is not started again before the server raises the generation: restarting is the server's rule.
 */
export function nextStep(wanted: DesiredInstance, found: FoundContainer | undefined, record: InstanceRecord): Step {
  if (record.spare && isSettled(wanted, found, record)) return 'discard'
  if (wanted.state === 'removed') return found ? 'remove' : 'rest'
  if (found && isReplaced(wanted, found, record)) return found.state === 'running' ? 'stop' : 'create'
  if (found && hasOtherLimits(wanted, record)) return 'limit'
  if (wanted.state === 'stopped') return found?.state === 'running' ? 'stop' : 'rest'
  if (record.failed?.generation === wanted.generation) return 'rest'
  if (wasStarted(wanted, found, record)) return 'rest'
  if (!found) return 'create'
  // A start that was not begun here for this generation is one of an older generation.
  return found.state === 'running' ? 'stop' : 'start'
}

/** Of the restores that were wanted, the one that the container came of. */
export function restoreOf({labels}: FoundContainer): number {
  return Number(labels[label.restored] ?? 0)
}

/** A restore is wanted, and the container is the one before it. */
function isReplaced({restored}: DesiredInstance, found: FoundContainer, {refusedRestore}: InstanceRecord): boolean {
  return restored !== undefined && restored.count !== refusedRestore?.count && restoreOf(found) < restored.count
}

/** The spare container can go: the other one has started where it should, or will not be. */
function isSettled(wanted: DesiredInstance, found: FoundContainer | undefined, record: InstanceRecord): boolean {
  if (wanted.state !== 'running' || isRefused(wanted, record)) return true
  return found !== undefined && wasStarted(wanted, found, record)
}

/** The step is one of a restore, and the container before it still stands. */
export function isReplacing(
  step: Step,
  {restored}: DesiredInstance,
  found: FoundContainer | undefined,
  {spare, refusedRestore}: InstanceRecord,
): boolean {
  if (!restored || !found || (refusedRestore?.count ?? 0) >= restored.count) return false
  return step === 'create' || (spare !== undefined && restoreOf(found) === restored.count)
}

function isRefused({restored}: DesiredInstance, {refusedRestore}: InstanceRecord): boolean {
  return refusedRestore !== undefined && restored?.count === refusedRestore.count
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
