import {problem} from './errors.ts'
import type {UserRecord} from './ports.ts'

/** Throws claim_over_quota when the user's live claims and this one ask for more than the quota (rule 6). */
export function checkQuota(user: Pick<UserRecord, 'gpuQuota'>, asked: number, held: number): void {
  if (user.gpuQuota === null || asked === 0) return
  const left = Math.max(0, user.gpuQuota - held)
  if (asked > left) throw problem('claim_over_quota', {asked, quota: user.gpuQuota, left})
}

/** Throws priority_too_high (rule 2). */
export function checkPriority(user: Pick<UserRecord, 'maxPriority'>, asked: number): void {
  if (asked > user.maxPriority) throw problem('priority_too_high', {asked, max: user.maxPriority})
}
