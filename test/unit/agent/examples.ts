import type {Desired, DesiredInstance} from '../../../src/contract/agent-protocol.ts'
import type {FoundContainer} from '../../../src/runtime/driver.ts'

export const nodeId = 'node-1'

/** A wanted instance; what a test is about it gives. */
export function wanted(change: Partial<DesiredInstance> = {}): DesiredInstance {
  const claimId = change.claimId ?? 'claim-1'
  const epoch = change.epoch ?? 1
  return {
    allocationId: `${claimId}/${epoch}`,
    instanceId: 'instance-1',
    claimId,
    epoch,
    containerName: `gpuctl-${claimId}-${epoch}`,
    name: 'trainer',
    owner: 'ann',
    image: 'cuda',
    command: ['sleep', '100'],
    env: {},
    labels: {},
    gpus: [],
    state: 'running',
    generation: 1,
    graceSeconds: 1,
    ...change,
  }
}

export function desired(revision: number, ...instances: DesiredInstance[]): Desired {
  return {serverId: 'server-1', nodeId, revision, instances}
}

export function container(change: Partial<FoundContainer> = {}): FoundContainer {
  return {
    containerId: 'c1',
    name: 'gpuctl-claim-1-1',
    image: 'cuda',
    labels: {},
    state: 'running',
    exitCode: null,
    oomKilled: false,
    createdAt: '2026-01-01T00:00:00Z',
    startedAt: '2026-01-01T00:00:00Z',
    finishedAt: '',
    ...change,
  }
}
