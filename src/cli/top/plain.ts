import type {Column} from '../output/column.ts'
import {percent} from '../output/figures.ts'
import type {FleetSnapshot} from './fleet.ts'

/** A node, an instance or a waiting claim as one line of `top` without a terminal. */
export interface PlainRow {
  at: string
  kind: 'node' | 'instance' | 'claim'
  id: string
  name: string
  state: string
  node: string
  gpus: string
  /** Of its GPUs. */
  load: number | null
  cpu: number | null
  memory: number | null
  owner: string
  reason: string
}

export const plainColumns: Column<PlainRow>[] = [
  {name: 'time', value: ({at}) => at, shown: ({at}) => at.slice(11, 19)},
  {name: 'kind', value: ({kind}) => kind},
  {name: 'name', value: ({name}) => name},
  {name: 'state', value: ({state}) => state},
  {name: 'node', value: ({node}) => node},
  {name: 'gpus', value: ({gpus}) => gpus},
  {name: 'gpu load', value: ({load}) => round(load), shown: ({load}) => percent(round(load))},
  {name: 'cpu', value: ({cpu}) => round(cpu), shown: ({cpu}) => percent(round(cpu))},
  {name: 'memory', value: ({memory}) => round(memory), shown: ({memory}) => percent(round(memory))},
  {name: 'owner', value: ({owner}) => owner},
  {name: 'reason', value: ({reason}) => reason},
  {name: 'id', value: ({id}) => id, wide: true},
]

export function plainRows({at, nodes, instances, queue}: FleetSnapshot): PlainRow[] {
  const nothing = {at, node: '', load: null, cpu: null, memory: null, owner: '', reason: ''}
  return [
    ...nodes.map(({id, name, status, gpus, cpuPercent, memoryPercent}): PlainRow => {
      const held = gpus.filter(({heldBy}) => heldBy.length > 0).length
      const loads = gpus.map(gpu => gpu.utilizationPercent).filter(load => load !== null)
      const load = loads.length === 0 ? null : loads.reduce((sum, one) => sum + one, 0) / loads.length
      const figures = {gpus: `${held}/${gpus.length}`, load, cpu: cpuPercent, memory: memoryPercent}
      return {...nothing, kind: 'node', id, name, state: status, ...figures}
    }),
    ...instances.map(({id, name, status, node, gpus, gpuPercent, owner}): PlainRow => {
      return {
        ...nothing,
        kind: 'instance',
        id,
        name,
        state: status,
        node,
        gpus: gpus.join(','),
        load: gpuPercent,
        owner,
      }
    }),
    ...queue.map(({id, name, gpus, owner, reason}): PlainRow => {
      return {...nothing, kind: 'claim', id, name, state: 'pending', gpus, owner, reason}
    }),
  ]
}

function round(figure: number | null): number | null {
  return figure === null ? null : Math.round(figure * 10) / 10
}
