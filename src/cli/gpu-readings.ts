import type {NodeStats} from '../contract/schemas/nodes.ts'
import type {Column} from './output/column.ts'
import {memory, percent} from './output/figures.ts'
import {sparkline} from './output/sparkline.ts'

/** What a GPU is doing at one moment. */
export type GpuReading = NodeStats['gpus'][number] & Pick<NodeStats, 'at'> & {node: string; nodeId: string}

/** So many readings are drawn. */
const kept = 30

export function gpuReadings(nodes: readonly NodeStats[], wanted: readonly string[]): GpuReading[] {
  const all = nodes.flatMap(({id: nodeId, name: node, at, gpus}) => gpus.map(gpu => ({node, nodeId, at, ...gpu})))
  if (wanted.length === 0) return all
  return all.filter(({node, nodeId, index, uuid}) =>
    wanted.some(name => name === uuid || name === `${node}:${index}` || name === `${nodeId}:${index}`),
  )
}

/** The latest loads of each GPU. */
export class GpuHistory {
  readonly #loads = new Map<string, (number | null)[]>()

  add(readings: readonly GpuReading[]): void {
    for (const {nodeId, index, utilizationPercent} of readings) {
      const key = `${nodeId}:${index}`
      this.#loads.set(key, [...(this.#loads.get(key) ?? []), utilizationPercent].slice(-kept))
    }
  }

  of({nodeId, index}: GpuReading): string {
    return sparkline(this.#loads.get(`${nodeId}:${index}`) ?? [], kept)
  }
}

/** With a history only where it is drawn: a column of blocks is no figure. */
export function gpuStatsColumns(history?: GpuHistory): Column<GpuReading>[] {
  return [
    {name: 'gpu', value: ({node, index}) => `${node}:${index}`},
    {name: 'use', value: one => one.utilizationPercent, shown: one => percent(one.utilizationPercent)},
    ...(history ? [{name: 'history', value: (one: GpuReading) => history.of(one)}] : []),
    {name: 'memory', value: one => one.memoryUsedMiB, unit: 'MiB', shown: memoryInUse},
    {name: 'temp', value: one => one.temperatureC, shown: one => figure(one.temperatureC, '°C')},
    {name: 'power', value: one => one.powerW, shown: one => figure(one.powerW, 'W')},
    {name: 'model', value: ({model, simulated}) => (simulated ? `${model} (simulated)` : model)},
    {name: 'time', value: ({at}) => at, wide: true},
    {name: 'uuid', value: ({uuid}) => uuid, wide: true},
  ]
}

function memoryInUse({memoryUsedMiB, memoryMiB}: GpuReading): string {
  return [memory(memoryUsedMiB), memory(memoryMiB)].filter(Boolean).join(' of ')
}

function figure(value: number | null, unit: string): string {
  return value === null ? '' : `${Math.round(value)} ${unit}`
}
