import {setTimeout as delay} from 'node:timers/promises'
import type {Client} from '../client/client.ts'
import type {InstanceStats} from '../contract/schemas/instances.ts'
import type {NodeStats} from '../contract/schemas/nodes.ts'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {gpuReadings} from './gpu-readings.ts'
import type {Column} from './output/column.ts'
import {memory, percent} from './output/figures.ts'
import {topicWords} from './words.ts'

/** What a thing of the fleet uses at one moment; of several GPUs the load is that of the busiest. */
export interface StatsRow {
  kind: 'node' | 'gpu' | 'instance'
  name: string
  at: string | null
  cpuPercent: number | null
  memoryUsedMiB: number | null
  gpuPercent: number | null
  gpuMemoryUsedMiB: number | null
}

export interface StatsTarget {
  kind: StatsRow['kind']
  name: string
}

/** Instances that are followed at once. */
const mostInstances = 50
/** How long the first reading of an instance is waited for. */
const firstWithinMs = 5_000

export const statsColumns: Column<StatsRow>[] = [
  {name: 'what', value: ({kind, name}) => `${kind}/${name}`},
  {name: 'cpu', value: ({cpuPercent}) => cpuPercent, shown: ({cpuPercent}) => percent(cpuPercent)},
  {name: 'memory', value: one => one.memoryUsedMiB, unit: 'MiB', shown: one => memory(one.memoryUsedMiB)},
  {name: 'gpu', value: ({gpuPercent}) => gpuPercent, shown: ({gpuPercent}) => percent(gpuPercent)},
  {name: 'gpu memory', value: one => one.gpuMemoryUsedMiB, unit: 'MiB', shown: one => memory(one.gpuMemoryUsedMiB)},
  {name: 'time', value: ({at}) => at, wide: true},
]

/** `node/gpu-03`, `gpu/gpu-03:1`, `instance/train`, or the name of an instance alone. */
export function readTarget(text: string): StatsTarget {
  const at = text.indexOf('/')
  if (at < 0) return {kind: 'instance', name: text}
  const word = text.slice(0, at).toLowerCase()
  const kind = topicWords[word] ?? word
  const name = text.slice(at + 1)
  if ((kind === 'node' || kind === 'gpu' || kind === 'instance') && name !== '') return {kind, name}
  throw usageError(`${text} has no stats.`, 'Name node/gpu-03, gpu/gpu-03:1 or instance/train.')
}

/** The latest readings of all that is wanted, at each reading of the nodes. Nothing named: all nodes, and your running instances. */
export async function* followStats(
  client: Client,
  targets: readonly StatsTarget[],
  {interval, signal}: {interval?: number; signal: AbortSignal},
): AsyncGenerator<StatsRow[]> {
  const stop = new AbortController()
  const cut = AbortSignal.any([signal, stop.signal])
  const instances = new InstanceFeed(client, cut)
  try {
    await instances.begin(targets)
    for await (const {event, data} of client.events('nodes.statsOfAll', {interval}, {signal: cut})) {
      if (event === 'message') yield [...nodeRows(data.nodes, targets), ...instances.rows()]
    }
  } finally {
    stop.abort()
  }
}

/** Follows several instances side by side; one that ends leaves. */
class InstanceFeed {
  readonly #client: Client
  readonly #signal: AbortSignal
  readonly #latest = new Map<string, StatsRow>()
  #failure: unknown

  constructor(client: Client, signal: AbortSignal) {
    this.#client = client
    this.#signal = signal
  }

  /** Resolves when each has been read once, or after a while. */
  async begin(targets: readonly StatsTarget[]): Promise<void> {
    const named = targets.filter(({kind}) => kind === 'instance')
    const found =
      targets.length === 0
        ? await this.#client.call('instances.list', {status: 'running', limit: mostInstances})
        : await Promise.all(named.map(({name}) => this.#client.call('instances.get', {id: name})))
    const first = Promise.all(found.map(({id}) => new Promise<void>(seen => void this.#follow(id, seen))))
    const late = new AbortController()
    await Promise.race([first, delay(firstWithinMs, undefined, {signal: late.signal}).catch(() => {})])
    late.abort()
  }

  rows(): StatsRow[] {
    if (this.#failure !== undefined) throw this.#failure
    return [...this.#latest.values()]
  }

  async #follow(id: string, seen: () => void): Promise<void> {
    try {
      for await (const {event, data} of this.#client.events('instances.stats', {id}, {signal: this.#signal})) {
        if (event !== 'message') continue
        this.#latest.set(id, instanceRow(data))
        seen()
      }
    } catch (error) {
      if (!this.#signal.aborted) this.#failure = error
    } finally {
      this.#latest.delete(id)
      seen()
    }
  }
}

function nodeRows(nodes: readonly NodeStats[], targets: readonly StatsTarget[]): StatsRow[] {
  const isAll = targets.length === 0
  return [
    ...(isAll ? nodes.map(nodeRow) : []),
    ...targets.flatMap(({kind, name}) => {
      if (kind === 'instance') return []
      const found =
        kind === 'node'
          ? nodes.filter(one => one.name === name || one.id === name).map(nodeRow)
          : gpuReadings(nodes, [name]).map(gpuRow)
      if (found.length > 0) return found
      throw new Failure('not_found', `There is no ${kind} ${name}, or it is not heard.`, {
        hint: `See \`gpuctl ${kind} list\`.`,
        exitCode: exitCode.notFound,
      })
    }),
  ]
}

function nodeRow({name, at, cpuPercent, memoryUsedMiB, gpus}: NodeStats): StatsRow {
  return {kind: 'node', name, at, cpuPercent, memoryUsedMiB, ...gpuFigures(gpus)}
}

function gpuRow(gpu: ReturnType<typeof gpuReadings>[number]): StatsRow {
  const name = `${gpu.node}:${gpu.index}`
  return {kind: 'gpu', name, at: gpu.at, cpuPercent: null, memoryUsedMiB: null, ...gpuFigures([gpu])}
}

function instanceRow({name, at, cpuPercent, memoryUsageBytes, gpus}: InstanceStats): StatsRow {
  const memoryUsedMiB = memoryUsageBytes === null ? null : Math.round(memoryUsageBytes / 1024 / 1024)
  return {kind: 'instance', name, at, cpuPercent, memoryUsedMiB, ...gpuFigures(gpus)}
}

/** The load of the busiest, the memory of all; null where none is known. */
function gpuFigures(gpus: readonly {utilizationPercent: number | null; memoryUsedMiB: number | null}[]) {
  const loads = gpus.flatMap(({utilizationPercent}) => utilizationPercent ?? [])
  const used = gpus.flatMap(({memoryUsedMiB}) => memoryUsedMiB ?? [])
  return {
    gpuPercent: loads.length === 0 ? null : Math.max(...loads),
    gpuMemoryUsedMiB: used.length === 0 ? null : used.reduce((sum, one) => sum + one, 0),
  }
}
