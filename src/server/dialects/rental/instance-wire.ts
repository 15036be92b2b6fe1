import {Type} from 'typebox'
import type {Instance} from '../../../contract/schemas/instances.ts'
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

export async function instanceToWire(instance: Instance, services: Services) {
  const [wire] = await instancesToWire([instance], services)
  return wire
}

export async function instancesToWire(instances: readonly Instance[], services: Services) {
  const nodes = new Map(services.nodes.readings().map(({id, number}) => [id, number]))
  const ownerIds = [...new Set(instances.map(({ownerId}) => ownerId))]
  const owners = new Map(
    await Promise.all(ownerIds.map(async id => [id, (await services.users.find(id))?.number] as const)),
  )
  return instances.map(instance => {
    const {name, owner, ownerId, containerId, containerName, reason, warnings, remark} = instance
    const spec = instance.catalogueSpec?.number ?? 0
    const node = nodes.get(instance.nodeId) ?? 0
    const status = statusOf(instance)
    return {
      ...identityOf(instance),
      name,
      imageId: instance.catalogueImage?.number ?? 0,
      ...{productSpecId: spec, specId: spec, computeNodeId: node, nodeId: node},
      ...{userId: owners.get(ownerId) ?? 0, userName: owner},
      ...{containerId, containerName, status, containerStatus: status, reason},
      ...{cpuUsagePercent: null, memoryUsagePercent: null, gpuMemoryUsageRate: null},
      warnings,
      remark,
    }
  })
}
