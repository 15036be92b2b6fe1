import {randomUUID} from 'node:crypto'
import type {Claim, ClaimSpec} from '../../src/contract/schemas/claims.ts'
import type {Instance} from '../../src/contract/schemas/instances.ts'
import {newStatus} from '../../src/domain/claim.ts'
import type {New, Store} from '../../src/domain/ports.ts'

const perTransaction = 1_000

export interface Owner {
  id: string
  username: string
}

/** Claims that wait, with their instances, as a submit leaves them, without the detour over HTTP. */
export async function writeWaitingClaims(
  store: Store,
  owner: Owner,
  count: number,
  specOf: (index: number) => ClaimSpec,
): Promise<void> {
  const startMs = Date.now() - count
  for (let from = 0; from < count; from += perTransaction) {
    await store.transaction(async tx => {
      for (let index = from; index < Math.min(count, from + perTransaction); index++) {
        const claim = waitingClaim(`bench-${index}`, owner, specOf(index), new Date(startMs + index).toISOString())
        await tx.claims.insert(claim)
        await tx.instances.insert(instanceOf(claim))
      }
    })
  }
}

function waitingClaim(name: string, owner: Owner, spec: ClaimSpec, at: string): New<Claim> {
  const ids = {id: randomUUID(), instanceId: randomUUID(), ownerId: owner.id}
  const times = {createdAt: at, updatedAt: at}
  return {...ids, ...times, name, owner: owner.username, spec, status: newStatus(), version: 0}
}

function instanceOf({id, instanceId, name, owner, ownerId, spec, createdAt, updatedAt}: New<Claim>): New<Instance> {
  return {
    id: instanceId,
    createdAt,
    updatedAt,
    name,
    claim: name,
    claimId: id,
    owner,
    ownerId,
    image: spec.image,
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
  }
}
