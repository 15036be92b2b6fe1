import {randomUUID} from 'node:crypto'
import type {Claim, ClaimPhase} from '../../../src/contract/schemas/claims.ts'
import type {Instance} from '../../../src/contract/schemas/instances.ts'
import type {Event} from '../../../src/contract/schemas/server.ts'
import type {New, UserRecord} from '../../../src/domain/ports.ts'
import type {Allocation, NodeRecord} from '../../../src/domain/records.ts'
import type {RuntimeRecord, RuntimeState} from '../../../src/domain/runtimes.ts'

/** Records as the domain would make them, for tests of the stores; `change` says what the test is about. */

const at = '2026-01-01T00:00:00.000Z'
const identity = () => ({id: randomUUID(), createdAt: at, updatedAt: at})

export function newUser(change: Partial<UserRecord> = {}): New<UserRecord> {
  const fields = {role: 'user', enabled: true, gpuQuota: 4, maxPriority: 0, passwordHash: 'x', tokenVersion: 0} as const
  return {...identity(), username: `user-${randomUUID().slice(0, 8)}`, ...fields, ...change}
}

export function newNode(change: Partial<NodeRecord> = {}): New<NodeRecord> {
  const name = `node-${randomUUID().slice(0, 8)}`
  return {
    ...identity(),
    version: 0,
    name,
    hostname: name,
    admission: 'active',
    kind: 'agent',
    schedulable: true,
    cordonReason: '',
    code: null,
    codeExpiresAt: null,
    pollSecretHash: null,
    keyHash: null,
    keyDeliveredAt: null,
    keyUsedAt: null,
    suspendedReason: '',
    address: '',
    claimedAddress: '',
    fingerprint: '',
    gpuSummary: '',
    os: '',
    agentVersion: '',
    labels: {zone: 'a'},
    ownerId: null,
    docker: null,
    declaredGpus: null,
    inventory: null,
    storageQuotaGb: 0,
    totalAvailableGb: 1000,
    ...change,
  }
}

export function newRuntime(change: Partial<RuntimeRecord> = {}): New<RuntimeRecord> {
  return {
    ...identity(),
    ...{version: 0, nodeId: null, machineName: 'server-01', address: '192.0.2.1', port: 32768, runtimeVersion: '0.1.0'},
    ...{approval: 'pending', tokenHash: randomUUID(), registeredAt: at, customName: null, tags: [], notes: null},
    ...{gpuDevices: [{model: 'RTX 4090', count: 1, memoryBytes: null}], gpuCount: 1, gpuModel: 'RTX 4090'},
    ...{supportedRuntimes: [], models: ['gpt-oss-20b']},
    ...change,
  }
}

export const runtimeState: RuntimeState = {
  ...{seenAt: at, load: null, loaded: {chat: ['a'], embedding: [], asr: [], tts: []}, supportedRuntimes: []},
  ...{initializing: false, ready: {ready: 1, total: 1}, sync: null, onlineSince: null, excludedModels: []},
  isDisconnected: false,
}

export function newClaim(
  change: Partial<Omit<Claim, 'spec' | 'status'>> & {spec?: Partial<Claim['spec']>; phase?: ClaimPhase} = {},
): New<Claim> {
  const {spec, phase = 'Pending', ...rest} = change
  return {
    ...identity(),
    name: `claim-${randomUUID().slice(0, 8)}`,
    owner: 'bob',
    ownerId: randomUUID(),
    instanceId: randomUUID(),
    version: 0,
    spec: {image: 'busybox', command: ['sh', '-c', 'echo hello'], gpus: {count: 1}, ...spec},
    status: {
      phase,
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
    },
    ...rest,
  }
}

export function newInstance(change: Partial<Instance> = {}): New<Instance> {
  const name = `instance-${randomUUID().slice(0, 8)}`
  return {
    ...identity(),
    name,
    claim: name,
    claimId: randomUUID(),
    owner: 'bob',
    ownerId: randomUUID(),
    image: 'busybox',
    desired: 'running',
    status: 'creating',
    reason: '',
    node: '',
    nodeId: '',
    runtime: '',
    containerId: '',
    containerName: '',
    epoch: 0,
    gpus: [],
    exitCode: null,
    restarts: 0,
    warnings: [],
    remark: '',
    labels: {},
    startedAt: null,
    finishedAt: null,
    version: 0,
    ...change,
  }
}

export function newAllocation(
  nodeId: string,
  gpuIndexes: readonly number[],
  claimId: string = randomUUID(),
  /** Only so much of each, of cards with 24 GiB. */
  partMiB?: number,
): New<Allocation> {
  const part = partMiB === undefined ? {} : {share: {memoryMiB: partMiB, cardMiB: 24_576, percent: 50}}
  const gpus = gpuIndexes.map(index => ({index, uuid: `GPU-${index}`, model: 'Test', simulated: false, ...part}))
  const {id, createdAt} = identity()
  const rest = {instanceId: randomUUID(), epoch: 1, cpus: 1, memoryMiB: 64, releasedAt: null}
  return {id, createdAt, claimId, nodeId, gpus, ...rest}
}

export function newEvent(change: Partial<Event> = {}): Omit<Event, 'number'> {
  const fields = {kind: 'claim', objectName: 'train', type: 'Submitted', message: '', actor: 'bob'} as const
  return {at, objectId: randomUUID(), ...fields, ...change}
}
