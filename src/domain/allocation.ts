import type {DesiredInstance} from '../contract/agent-protocol.ts'
import type {Claim, ClaimSpec} from '../contract/schemas/claims.ts'
import type {Instance} from '../contract/schemas/instances.ts'
import {isFinal} from './claim.ts'
import type {Allocation} from './records.ts'
import type {Secrets} from './security-ports.ts'

/** Each binding of a claim has a fixed id, so that what a node tells of it can be found again after any crash. */
export function allocationId(claimId: string, epoch: number, {sha256}: Pick<Secrets, 'sha256'>): string {
  const hex = sha256(`allocation ${claimId} ${epoch}`)
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  )
}

export function containerName(claimId: string, epoch: number): string {
  return `gpuctl-${claimId}-${epoch}`
}

/** Without the epoch: a new binding on the same node finds its files again. */
export function volumesOf(
  claimId: string,
  {dataDiskGiB}: Pick<ClaimSpec, 'dataDiskGiB'>,
): {name: string; path: string}[] {
  return dataDiskGiB === undefined ? [] : [{name: `gpuctl-${claimId}-data`, path: '/data'}]
}

/** The snapshot that the container is to be made of; on another node, or bound anew, it is made of the image. */
export function restoredOf(
  {madeOf, restore}: Pick<Instance, 'madeOf' | 'restore'>,
  {epoch}: Pick<Allocation, 'epoch'>,
): DesiredInstance['restored'] {
  const wanted = restore?.state === 'pending' ? restore : madeOf
  return wanted?.epoch === epoch ? {count: wanted.count, imageId: wanted.imageId} : undefined
}

/** Which start of the container is wanted; grows with every start and restart. */
export function generationOf(instance: Pick<Instance, 'restarts'>): number {
  return instance.restarts + 1
}

/** What the node should make of an allocation that still holds its GPUs. */
export function wantedState(
  allocation: Pick<Allocation, 'epoch'>,
  claim: Claim,
  instance: Pick<Instance, 'desired'>,
): DesiredInstance['state'] {
  const {phase, epoch} = claim.status
  if (phase === 'Pending' || epoch !== allocation.epoch || instance.desired === 'deleted') return 'removed'
  if (isFinal(phase) || instance.desired === 'stopped') return 'stopped'
  return 'running'
}
