import {Type} from 'typebox'
import type {Instance, InstanceStats} from '../../../contract/schemas/instances.ts'
import type {Caller} from '../../../domain/caller.ts'
import type {Services} from '../../../domain/services/services.ts'
import {identity, identityOf} from './wire.ts'

const Percent = Type.Union([Type.Number(), Type.Null()])

/** Both spellings of what the document and the origin call differently. 0 is an ID of something that is gone. */
export const WireInstance = Type.Object({
  ...identity,
  name: Type.String(),
  imageId: Type.Integer(),
  productSpecId: Type.Integer(),
  specId: Type.Integer(),
  computeNodeId: Type.Integer(),
  nodeId: Type.Integer(),
  userId: Type.Integer(),
  userName: Type.String(),
  containerId: Type.String(),
  containerName: Type.String(),
  status: Type.String(),
  containerStatus: Type.String(),
  reason: Type.String(),
  cpuUsagePercent: Percent,
  memoryUsagePercent: Percent,
  gpuMemoryUsageRate: Percent,
  warnings: Type.Array(Type.String()),
  remark: Type.String(),
})

/** The document knows four states, and `unknown`; one that is about to end still runs. */
function statusOf({status}: Instance): string {
  return status === 'stopping' || status === 'deleting' ? 'running' : status
}

export function statusesOf(status: string | undefined): Instance['status'][] | undefined {
  if (status === undefined || status === '') return undefined
  return status === 'running' ? ['running', 'stopping'] : [status as Instance['status']]
}

export async function instanceToWire(instance: Instance, services: Services, caller: Caller) {
  const [wire] = await instancesToWire([instance], services, caller)
  return wire
}

export async function instancesToWire(instances: readonly Instance[], services: Services, caller: Caller) {
  const nodes = new Map(
    services.nodes.readings().flatMap(({id, name, number}) => [[id, number] as const, [name, number] as const]),
  )
  const waiting = await claimsOfWaiting(instances, services, caller)
  const ownerIds = [...new Set(instances.map(({ownerId}) => ownerId))]
  const owners = new Map(
    await Promise.all(ownerIds.map(async id => [id, (await services.users.find(id))?.number] as const)),
  )
  return instances.map(instance => {
    const {name, owner, ownerId, containerId, containerName, warnings, remark} = instance
    const spec = instance.catalogueSpec?.number ?? 0
    const claim = waiting.get(instance.id)
    const node = nodes.get(instance.nodeId || (claim?.spec.node ?? '')) ?? 0
    const reason = instance.reason || (claim?.status.reason ?? '')
    const status = statusOf(instance)
    return {
      ...identityOf(instance),
      name,
      imageId: instance.catalogueImage?.number ?? 0,
      ...{productSpecId: spec, specId: spec, computeNodeId: node, nodeId: node},
      ...{userId: owners.get(ownerId) ?? 0, userName: owner},
      ...{containerId, containerName, status, containerStatus: status, reason},
      ...usageOf(services.instances.latest(instance, caller)),
      warnings,
      remark,
    }
  })
}

/** Where it was asked for, and why it is not there yet, their claims know. */
async function claimsOfWaiting(instances: readonly Instance[], {claims}: Services, caller: Caller) {
  const waiting = instances.filter(({nodeId, status}) => nodeId === '' && status === 'creating')
  return new Map(
    await Promise.all(waiting.map(async ({id, claimId}) => [id, await claims.get({id: claimId}, caller)] as const)),
  )
}

/** Null is unknown: a container that has just begun, or one whose node is not heard. */
function usageOf(stats: InstanceStats | undefined) {
  const {cpuPercent = null, memoryPercent = null, gpus = []} = stats ?? {}
  const known = gpus.filter(({memoryUsedMiB, memoryMiB}) => memoryUsedMiB !== null && memoryMiB !== null)
  const sum = (name: 'memoryUsedMiB' | 'memoryMiB') => known.reduce((total, gpu) => total + (gpu[name] ?? 0), 0)
  const rate = sum('memoryMiB') > 0 ? Math.round((sum('memoryUsedMiB') / sum('memoryMiB')) * 10_000) / 100 : null
  return {cpuUsagePercent: cpuPercent, memoryUsagePercent: memoryPercent, gpuMemoryUsageRate: rate}
}
