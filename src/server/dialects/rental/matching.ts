import {Type} from 'typebox'
import type {MatchedNode} from '../../../contract/schemas/instances.ts'
import {below, call} from './call.ts'
import {specOf} from './instances.ts'

const folders = ['instance']
const Count = Type.Integer()
const Size = Type.Union([Type.Integer(), Type.Null()], {description: 'GB; null is unknown'})

const WireMatch = Type.Object({
  id: Type.Integer(),
  name: Type.String(),
  region: Type.String(),
  ...{gpuName: Type.String(), gpuCount: Count, availableGpu: Count},
  ...{cpu: Count, availableCpu: Type.Number(), memory: Count, availableMemory: Count},
  memoryCapacity: Type.Integer({description: 'largest free GB on one card'}),
  ...{systemDisk: Size, availableSystemDisk: Size, dataDisk: Size, availableDataDisk: Size},
  publicIp: Type.String(),
  pricePerHour: Type.Number(),
})

function toWire(node: MatchedNode) {
  const {number, name, region, gpuModel, gpuCount, gpusFree, cpus, cpusFree, publicIp, pricePerHour} = node
  return {
    ...{id: number, name, region},
    ...{gpuName: gpuModel, gpuCount, availableGpu: gpusFree, cpu: cpus, availableCpu: cpusFree},
    memory: wholeGb(node.memoryMiB),
    availableMemory: wholeGb(node.memoryFreeMiB),
    memoryCapacity: wholeGb(node.gpuMemoryFreeMiB ?? 0),
    systemDisk: node.systemDiskGiB,
    availableSystemDisk: node.systemDiskFreeGiB,
    dataDisk: node.dataDiskGiB,
    availableDataDisk: node.dataDiskFreeGiB,
    ...{publicIp, pricePerHour},
  }
}

function wholeGb(mib: number): number {
  return Math.floor(mib / 1024)
}

const SpecId = Type.Optional(Type.Integer({minimum: 1, maximum: 999_999_999_999}))
const BySpec = Type.Object({productSpecId: SpecId, specId: SpecId})

const matched = {
  access: 'viewer',
  summary: 'Listed nodes that can take the spec now, the fullest first.',
  said: '获取成功',
  data: Type.Array(WireMatch),
} as const

/** "获取匹配的算力节点" of document 002, and the GET that the origin has. */
export const matchingRoutes = [
  call({
    ...matched,
    method: 'POST',
    paths: below(folders, 'getMatchedNodes'),
    scope: 'read',
    body: BySpec,
    async handle({body, asker, services}) {
      const spec = await specOf(services, body.productSpecId ?? body.specId, asker)
      return (await services.instances.match({spec}, asker)).map(toWire)
    },
  }),
  call({
    ...matched,
    method: 'GET',
    paths: below(folders, 'getAvailableNodes', 'getMatchedNodes'),
    query: BySpec,
    async handle({query, asker, services}) {
      const spec = await specOf(services, query.productSpecId ?? query.specId, asker)
      return (await services.instances.match({spec}, asker)).map(toWire)
    },
  }),
]
