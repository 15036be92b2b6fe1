import type {Claim} from '../contract/schemas/claims.ts'
import type {Drain, DrainFate} from '../contract/schemas/drains.ts'
import type {Instance} from '../contract/schemas/instances.ts'
import {isFinal} from './claim.ts'
import type {NodeRecord} from './records.ts'

/** Reason of a claim that had to leave its node. */
export const drainedReason = 'Drained'

/** What has not ended by itself is ended now. */
export function isForced({force, deadlineAt}: Pick<Drain, 'force' | 'deadlineAt'>, nowMs: number): boolean {
  return force && isDue({deadlineAt: deadlineAt ?? new Date(nowMs).toISOString()}, nowMs)
}

export function isDue({deadlineAt}: Pick<Drain, 'deadlineAt'>, nowMs: number): boolean {
  return deadlineAt !== null && Date.parse(deadlineAt) <= nowMs
}

/**
 * What becomes of a claim on a node that is drained. What would be started again after the loss of its node is moved, if
 * it may run elsewhere and leaves nothing behind: a data disk, the sites of the node.
 */
export function fateOf(claim: Claim, instance: Instance, {force}: Pick<Drain, 'force'>): DrainFate {
  const {phase, nodeId} = claim.status
  if (isFinal(phase)) return 'finishes'
  const {spec} = claim
  const hasData = spec.dataDiskGiB !== undefined
  const isBound = spec.node === nodeId || (spec.volumes ?? []).length > 0
  const restarts = phase === 'Scheduled' || (spec.restart ?? 'never') !== 'never'
  const isStopped = instance.desired === 'stopped'
  // A bound one waits in the queue until the node takes work again: better than to be ended, worse than to finish.
  if (restarts && !hasData && !isStopped && (!isBound || phase === 'Scheduled' || force)) return 'moves'
  if (force) return 'ends'
  return isStopped ? 'stopped' : 'finishes'
}

export function isDraining({schedulable, drain}: Pick<NodeRecord, 'schedulable' | 'drain'>): boolean {
  return !schedulable && drain?.state === 'draining'
}
