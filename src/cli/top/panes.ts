import {ago, memory} from '../output/figures.ts'
import {sparkline} from '../output/sparkline.ts'
import type {FleetSnapshot, GpuRow, InstanceRow, NodeRow, QueueRow} from './fleet.ts'

export type PaneName = 'nodes' | 'gpus' | 'instances' | 'queue'
/** In the order in which Tab goes through them. */
export const paneNames: readonly PaneName[] = ['nodes', 'gpus', 'instances', 'queue']

/** A column of a pane. Those with `grow` share what the others leave; `from`: only in panes at least so wide. */
export interface ColumnShape {
  head: string
  width: number
  grow?: number
  right?: true
  from?: number
  /** Its words have the colours of states. */
  isState?: true
}

interface PaneColumn<T> extends ColumnShape {
  text: (row: T, now: number) => string
}

/** What a pane draws: rows with an id, so that the selection stays on a thing that moves. */
export interface Pane<T extends {id: string} = {id: string}> {
  empty: string
  columns: readonly ColumnShape[]
  rows: readonly T[]
  /** The text of that row in that column. */
  text: (row: number, column: ColumnShape, now: number) => string
}

/** So many GPUs of a node are drawn as bars. */
const mostBars = 16

const nodeColumns: PaneColumn<NodeRow>[] = [
  {head: 'NODES', text: ({name}) => name, width: 8, grow: 1},
  {head: 'STATUS', text: ({status}) => status, width: 8, isState: true},
  {head: 'CPU', text: ({cpuPercent}) => share(cpuPercent), width: 4, right: true},
  {head: 'MEM', text: ({memoryPercent}) => share(memoryPercent), width: 4, right: true},
  {head: 'DISK', text: ({diskPercent}) => share(diskPercent), width: 4, right: true, from: 70},
  {head: 'LOAD', text: ({load1}) => (load1 === null ? '' : load1.toFixed(1)), width: 6, right: true, from: 90},
  {
    head: 'HELD',
    text: ({gpus}) => `${gpus.filter(({heldBy}) => heldBy.length > 0).length}/${gpus.length}`,
    width: 6,
    right: true,
  },
  {head: 'GPU LOAD', text: loadBars, width: mostBars, from: 60},
]

const gpuColumns: PaneColumn<GpuRow>[] = [
  {head: 'GPU', text: ({index}) => String(index), width: 3, right: true},
  {head: 'MODEL', text: modelName, width: 10, grow: 1},
  {head: 'LOAD', text: gpu => share(gpu.utilizationPercent), width: 4, right: true},
  {head: 'MEMORY', text: gpuMemory, width: 13, right: true, from: 50},
  {head: 'TEMP', text: gpu => figure(gpu.temperatureC, '°C'), width: 6, right: true, from: 60},
  {head: 'POWER', text: gpu => figure(gpu.powerW, 'W'), width: 6, right: true, from: 70},
  {head: 'HELD BY', text: ({heldBy}) => heldBy.join(', '), width: 8, grow: 1},
]

const instanceColumns: PaneColumn<InstanceRow>[] = [
  {head: 'INSTANCES', text: ({name}) => name, width: 9, grow: 2},
  {head: 'STATUS', text: ({status}) => status, width: 8, isState: true},
  {head: 'NODE', text: ({node}) => node, width: 8, grow: 1},
  {head: 'GPU NO', text: ({gpus}) => gpus.join(','), width: 8, from: 60},
  {head: 'LOAD', text: ({gpuPercent}) => share(gpuPercent), width: 4, right: true, from: 50},
  {head: 'OWNER', text: ({owner}) => owner, width: 8, from: 70},
  {head: 'IMAGE', text: ({image}) => image, width: 12, grow: 2, from: 90},
  {head: 'AGE', text: ({createdAt}, now) => age(createdAt, now), width: 7, right: true},
]

const queueColumns: PaneColumn<QueueRow>[] = [
  {head: '#', text: ({position}) => String(position ?? ''), width: 4, right: true},
  {head: 'QUEUE', text: ({name}) => name, width: 9, grow: 1},
  {head: 'GPUS', text: ({gpus}) => gpus, width: 12},
  {head: 'PRIO', text: ({priority}) => String(priority), width: 4, right: true, from: 60},
  {head: 'OWNER', text: ({owner}) => owner, width: 8, from: 60},
  {head: 'WHY', text: ({reason}) => reason.replace(/^Unschedulable: /, ''), width: 10, grow: 2, from: 70},
  {head: 'AGE', text: ({createdAt}, now) => age(createdAt, now), width: 7, right: true},
]

/** The four panes of a moment; GPUs are those of one node. `filter` leaves rows that have the words somewhere. */
export function panesOf(snapshot: FleetSnapshot, nodeId: string | undefined, filter: string) {
  const nodes = paneOf(snapshot.nodes, nodeColumns, {empty: 'No nodes.', filter})
  const node = nodes.rows.find(({id}) => id === nodeId) ?? nodes.rows[0]
  return {
    nodes,
    gpus: paneOf(node?.gpus ?? [], gpuColumns, {empty: node ? `${node.name} has no GPUs.` : 'No node.', filter: ''}),
    instances: paneOf(snapshot.instances, instanceColumns, {empty: 'No instances.', filter}),
    queue: paneOf(snapshot.queue, queueColumns, {empty: 'Nothing waits.', filter}),
  } satisfies Record<PaneName, Pane>
}

function paneOf<T extends {id: string}>(
  all: readonly T[],
  columns: readonly PaneColumn<T>[],
  {empty, filter}: {empty: string; filter: string},
): Pane<T> {
  const wanted = filter.toLowerCase()
  const isWanted = (row: T) => columns.some(({text, right}) => !right && text(row, 0).toLowerCase().includes(wanted))
  const rows = wanted === '' ? all : all.filter(isWanted)
  const texts = new Map<ColumnShape, PaneColumn<T>['text']>(columns.map(column => [column, column.text]))
  const text = (row: number, column: ColumnShape, now: number) => texts.get(column)?.(rows[row] as T, now) ?? ''
  return {empty, columns, rows, text}
}

/** One block for each GPU, the higher the busier; `·` where it is not known, and + where there are more. */
function loadBars({gpus}: NodeRow): string {
  const shown = gpus.length > mostBars ? gpus.slice(0, mostBars - 1) : gpus
  const loads = shown.map(({utilizationPercent}) => utilizationPercent)
  return sparkline(loads, mostBars) + (gpus.length > mostBars ? '+' : '')
}

function modelName({model, simulated}: GpuRow): string {
  return simulated && !/simulated/i.test(model) ? `${model} (simulated)` : model
}

function gpuMemory({memoryUsedMiB, memoryMiB}: GpuRow): string {
  const parts = [memory(memoryUsedMiB) || '?', memory(memoryMiB) || '?']
  return `${parts[0]?.replace(/ (\w)iB$/, '$1')} of ${parts[1]?.replace(/ (\w)iB$/, '$1')}`
}

/** Whole percent: a second digit only flickers. */
function share(percent: number | null): string {
  return percent === null ? '' : `${Math.round(percent)}%`
}

function figure(value: number | null, unit: string): string {
  return value === null ? '' : `${Math.round(value)} ${unit}`
}

function age(time: string, now: number): string {
  return ago(time, now).replace(' ago', '')
}
