import type {Claim, ClaimPhase, ClaimSpec} from '../contract/schemas/claims.ts'
import {problem} from './errors.ts'

/** Which phase may follow which. A move that is not listed is a lost race or a bug (wire.md 5.2). */
const followers: Record<ClaimPhase, readonly ClaimPhase[]> = {
  Pending: ['Scheduled', 'Failed', 'Released'],
  Scheduled: ['Running', 'Pending', 'Failed', 'Released'],
  Running: ['Completed', 'Pending', 'Failed', 'Released'],
  Completed: [],
  Failed: [],
  Released: [],
}

export const livePhases: readonly ClaimPhase[] = ['Pending', 'Scheduled', 'Running']

export function isFinal(phase: ClaimPhase): boolean {
  return followers[phase].length === 0
}

/** Returns the claim in its next phase; never mutates the one it was given. Throws claim_moved. */
export function move(claim: Claim, to: ClaimPhase, at: string, change: Partial<Claim['status']> = {}): Claim {
  const from = claim.status.phase
  if (!followers[from].includes(to)) throw problem('claim_moved', {id: claim.id, from, to})
  const ends = isFinal(to) ? {finishedAt: at, position: null} : {}
  return {...claim, updatedAt: at, status: {...claim.status, ...ends, ...change, phase: to}}
}

export function newStatus(): Claim['status'] {
  return {
    phase: 'Pending',
    reason: '',
    nodeName: '',
    nodeId: '',
    containerId: '',
    exitCode: null,
    epoch: 0,
    attempts: 0,
    position: null,
    gpus: [],
    startedAt: null,
    finishedAt: null,
  }
}

export function gpuCount(spec: ClaimSpec): number {
  return spec.gpus?.count ?? 0
}

/** `nvidia/cuda:12.0` → `cuda`; what a made-up name begins with. */
export function nameStem(image: string): string {
  const base = image.split('@')[0]!.split('/').pop()!.split(':')[0]!
  const stem = base
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40)
  return stem === '' ? 'claim' : stem
}
