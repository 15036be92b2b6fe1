import type {Claim} from '../../contract/schemas/claims.ts'
import type {Instance} from '../../contract/schemas/instances.ts'
import type {Node, NodeStats} from '../../contract/schemas/nodes.ts'

/** A GPU in `top`. Memory in MiB, temperature in °C, power in W; null is unknown. */
export interface GpuRow {
  id: string
  index: number
  model: string
  simulated: boolean
  utilizationPercent: number | null
  memoryUsedMiB: number | null
  memoryMiB: number | null
  temperatureC: number | null
  powerW: number | null
  /** Names of the instances on it, as far as the caller may see them. */
  heldBy: string[]
}

export interface NodeRow {
  id: string
  name: string
  /** As `node list` says it; `cordoned` where it is online and takes no new work. */
  status: string
  cpuPercent: number | null
  memoryPercent: number | null
  diskPercent: number | null
  load1: number | null
  gpus: GpuRow[]
}

export interface InstanceRow {
  id: string
  name: string
  status: string
  node: string
  nodeId: string
  gpus: number[]
  /** Mean over its GPUs; null where none of them is known. */
  gpuPercent: number | null
  owner: string
  image: string
  createdAt: string
}

/** A claim that waits. */
export interface QueueRow {
  id: string
  name: string
  position: number | null
  gpus: string
  priority: number
  owner: string
  createdAt: string
  reason: string
}

/** What `top` shows of one moment. */
export interface FleetSnapshot {
  at: string
  nodes: NodeRow[]
  instances: InstanceRow[]
  queue: QueueRow[]
  totals: {
    nodes: number
    online: number
    gpus: number
    gpusHeld: number
    gpuPercent: number | null
    running: number
    waiting: number
  }
}

/** What is asked of the server from time to time, beside the readings that it sends each second. */
export interface FleetLists {
  nodes: readonly Pick<Node, 'id' | 'schedulable'>[]
  instances: readonly Instance[]
  waiting: readonly Claim[]
}

export function snapshotOf(at: string, readings: readonly NodeStats[], lists: FleetLists): FleetSnapshot {
  const holders = holdersOf(lists.instances)
  const cordoned = new Set(lists.nodes.filter(({schedulable}) => !schedulable).map(({id}) => id))
  const nodes = readings.map(reading => nodeRow(reading, cordoned, holders)).sort(byName)
  const percentOf = new Map(nodes.flatMap(({id, gpus}) => gpus.map(gpu => [`${id}/${gpu.index}`, gpu])))
  const inQueue = new Set(lists.waiting.map(({instanceId}) => instanceId))
  const placed = lists.instances.filter(({id}) => !inQueue.has(id))
  const instances = placed.map(one =>
    instanceRow(
      one,
      one.gpus.map(({index}) => percentOf.get(`${one.nodeId}/${index}`)?.utilizationPercent ?? null),
    ),
  )
  const gpus = nodes.flatMap(node => node.gpus)
  return {
    at,
    nodes,
    instances: instances.sort(byName),
    queue: lists.waiting.map(queueRow).sort((a, b) => (a.position ?? Infinity) - (b.position ?? Infinity)),
    totals: {
      nodes: nodes.length,
      online: readings.filter(({status}) => status === 'online').length,
      gpus: gpus.length,
      gpusHeld: gpus.filter(({heldBy}) => heldBy.length > 0).length,
      gpuPercent: mean(gpus.map(({utilizationPercent}) => utilizationPercent)),
      running: instances.filter(({status}) => status === 'running').length,
      waiting: lists.waiting.length,
    },
  }
}

/** `node id/index` → names. A stopped instance keeps its GPUs. */
function holdersOf(instances: readonly Instance[]): Map<string, string[]> {
  const holders = new Map<string, string[]>()
  for (const {name, nodeId, gpus} of instances) {
    for (const {index} of gpus) {
      const key = `${nodeId}/${index}`
      holders.set(key, [...(holders.get(key) ?? []), name])
    }
  }
  return holders
}

function nodeRow(reading: NodeStats, cordoned: ReadonlySet<string>, holders: Map<string, string[]>): NodeRow {
  const {id, name, status, cpuPercent, memoryPercent, diskPercent, load1, gpus} = reading
  return {
    ...{id, name, cpuPercent, memoryPercent, diskPercent, load1},
    status: status === 'online' && cordoned.has(id) ? 'cordoned' : status,
    gpus: gpus.map(gpu => ({...gpu, id: `${id}/${gpu.index}`, heldBy: holders.get(`${id}/${gpu.index}`) ?? []})),
  }
}

function instanceRow(instance: Instance, percents: readonly (number | null)[]): InstanceRow {
  const {id, name, status, node, nodeId, gpus, owner, image, createdAt} = instance
  const held = gpus.map(({index}) => index)
  return {id, name, status, node, nodeId, gpus: held, gpuPercent: mean(percents), owner, image, createdAt}
}

function queueRow({id, name, spec, status, owner, createdAt}: Claim): QueueRow {
  const {position, reason} = status
  const {count = 0, model = spec.gpus?.modelName} = spec.gpus ?? {}
  const gpus = model && count > 0 ? `${count} × ${model}` : String(count)
  return {id, name, position, gpus, priority: spec.priority ?? 0, owner, createdAt, reason}
}

function mean(figures: readonly (number | null)[]): number | null {
  const known = figures.filter(figure => figure !== null)
  return known.length === 0 ? null : known.reduce((sum, figure) => sum + figure, 0) / known.length
}

function byName(a: {name: string}, b: {name: string}): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}
