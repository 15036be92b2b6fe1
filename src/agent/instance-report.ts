import type {DesiredInstance, InstanceReport} from '../contract/agent-protocol.ts'
import type {FoundContainer} from '../runtime/driver.ts'
import type {InstanceRecord} from './instance-record.ts'
import {nextStep, restoreOf} from './plan.ts'

/** What to tell the server of one instance. */
export function describeInstance(
  wanted: DesiredInstance,
  found: FoundContainer | undefined,
  record: InstanceRecord,
  pulling?: {percent: number | null},
): InstanceReport {
  const failed = record.failed?.generation === wanted.generation ? record.failed : undefined
  return {
    allocationId: wanted.allocationId,
    instanceId: wanted.instanceId,
    claimId: wanted.claimId,
    epoch: wanted.epoch,
    generation: generationOf(wanted, found, record),
    state: stateOf(wanted, found, record, pulling !== undefined, failed !== undefined),
    containerId: found?.containerId ?? record.containerId,
    exitCode: found?.state === 'exited' ? found.exitCode : null,
    oomKilled: found?.oomKilled ?? false,
    startedAt: found?.startedAt ?? '',
    finishedAt: found?.state === 'exited' ? found.finishedAt : '',
    errorCode: failed?.code ?? '',
    message: failed?.message ?? '',
    progress: pulling?.percent ?? null,
    ...(found && !record.spare && restoreOf(found) > 0 ? {restored: restoreOf(found)} : {}),
    ...(record.refusedRestore ? {refusedRestore: record.refusedRestore} : {}),
    warnings: record.limits?.refused ? [...record.warnings, record.limits.refused] : record.warnings,
  }
}

/** Whose start the state is of. One that was begun and has not happened yet leaves the end of the one before to be seen. */
function generationOf(wanted: DesiredInstance, found: FoundContainer | undefined, {begun}: InstanceRecord): number {
  if (!begun) return wanted.generation
  return found && found.startedAt === begun.startedAtBefore ? begun.generation - 1 : begun.generation
}

function stateOf(
  wanted: DesiredInstance,
  found: FoundContainer | undefined,
  record: InstanceRecord,
  pulling: boolean,
  failed: boolean,
): InstanceReport['state'] {
  if (wanted.state === 'removed' && !found) return 'removed'
  if (failed) return 'failed'
  if (found) return found.state === 'created' && wanted.state === 'stopped' ? 'exited' : found.state
  if (wanted.state === 'stopped') return record.vanished ? 'removed' : 'exited'
  if (pulling) return 'pulling'
  // One that is about to be made again is not gone for good.
  return record.vanished && nextStep(wanted, found, record) === 'rest' ? 'removed' : 'created'
}
