import type {FleetSnapshot, InstanceRow} from './fleet.ts'
import {type PaneName, paneNames, panesOf} from './panes.ts'

/** What a key leads to outside the screen. */
export type Act =
  | {do: 'quit'; interrupted: boolean}
  | {do: 'suspend'}
  | {do: 'logs'; instance: string}
  | {do: 'ssh'; instance: string}
  | {do: 'stop'; id: string; name: string}
  | {do: 'cancel'; id: string; name: string}
  | {do: 'drain'; id: string; name: string}

/** What the person at the screen has chosen. */
export interface View {
  focus: PaneName
  /** Id of the row in each pane; undefined or gone: the first one. */
  selected: Record<PaneName, string | undefined>
  filter: string
  mode: 'panes' | 'help'
  /** While a filter is typed; `before` comes back with Escape. */
  typing?: {text: string; before: string}
  question?: {text: string; act: Act}
  /** What the last act came to; gone with the next key. */
  message: string
}

export const firstView: View = {
  focus: 'nodes',
  selected: {nodes: undefined, gpus: undefined, instances: undefined, queue: undefined},
  filter: '',
  mode: 'panes',
  message: '',
}

/** The view after a key, and what is to be done. `page`: rows that a page key goes. Pure. */
export function press(view: View, key: string, snapshot: FleetSnapshot, page = 10): {view: View; act?: Act} {
  if (key === 'ctrl-c') return {view, act: {do: 'quit', interrupted: true}}
  if (key === 'ctrl-z') return {view, act: {do: 'suspend'}}
  if (view.question) return answer(view, key)
  if (view.typing) return {view: type(view, view.typing, key)}
  if (view.mode === 'help') return {view: {...view, mode: 'panes'}}
  const calm = {...view, message: ''}
  const move = steps(key, page)
  if (move !== undefined) return {view: select(calm, snapshot, move)}
  const command = commands[key]
  return command ? command(calm, snapshot) : {view: calm}
}

type Command = (view: View, snapshot: FleetSnapshot) => {view: View; act?: Act}

const commands: Record<string, Command> = {
  q: view => ({view, act: {do: 'quit', interrupted: false}}),
  '?': view => ({view: {...view, mode: 'help'}}),
  h: view => ({view: {...view, mode: 'help'}}),
  tab: view => ({view: turn(view, 1)}),
  right: view => ({view: turn(view, 1)}),
  'shift-tab': view => ({view: turn(view, -1)}),
  left: view => ({view: turn(view, -1)}),
  '/': view => ({view: {...view, typing: {text: view.filter, before: view.filter}}}),
  escape: view => ({view: {...view, filter: ''}}),
  l: (view, snapshot) => onInstance(view, snapshot, ({id}) => ({act: {do: 'logs', instance: id}})),
  s: (view, snapshot) => onInstance(view, snapshot, ({id}) => ({act: {do: 'ssh', instance: id}})),
  k: stop,
  d: drain,
}

function onInstance(
  view: View,
  snapshot: FleetSnapshot,
  then: (instance: InstanceRow) => {act?: Act; question?: View['question']},
): {view: View; act?: Act} {
  const found = chosen(view, snapshot).instance
  if (!found) return {view: {...view, message: 'Choose an instance first (Tab goes to that pane).'}}
  const {act, question} = then(found)
  return {view: {...view, question}, act}
}

function stop(view: View, snapshot: FleetSnapshot): {view: View; act?: Act} {
  if (view.focus !== 'queue') {
    return onInstance(view, snapshot, ({id, name, node}) => ({
      question: {text: `Stop ${name}${node ? ` on ${node}` : ''}? It keeps its GPUs.`, act: {do: 'stop', id, name}},
    }))
  }
  const claim = chosen(view, snapshot).claim
  if (!claim) return {view: {...view, message: 'Nothing waits.'}}
  const {id, name} = claim
  return {view: {...view, question: {text: `Cancel claim ${name}, which waits?`, act: {do: 'cancel', id, name}}}}
}

function drain(view: View, snapshot: FleetSnapshot): {view: View; act?: Act} {
  const {node} = chosen(view, snapshot)
  if (!node) return {view: {...view, message: 'Choose a node first (Tab goes to that pane).'}}
  const running = snapshot.instances.filter(({nodeId, status}) => nodeId === node.id && status === 'running')
  const work =
    running.length === 0
      ? 'nothing runs there'
      : `${running.map(({name}) => name).join(', ')} may finish or go elsewhere`
  const text = `Drain ${node.name}: no new work, and ${work}?`
  return {view: {...view, question: {text, act: {do: 'drain', id: node.id, name: node.name}}}}
}

function answer(view: View, key: string): {view: View; act?: Act} {
  const {question, ...rest} = view
  if (key === 'y' || key === 'Y') return {view: {...rest, message: ''}, act: question?.act}
  return {view: {...rest, message: 'Nothing was done.'}}
}

function type(view: View, {text, before}: {text: string; before: string}, key: string): View {
  if (key === 'enter') return {...view, typing: undefined}
  if (key === 'escape') return {...view, typing: undefined, filter: before === text ? '' : before}
  const now = key === 'backspace' ? text.slice(0, -1) : [...key].length === 1 ? text + key : text
  return {...view, filter: now, typing: {text: now, before}}
}

function turn(view: View, by: 1 | -1): View {
  const at = (paneNames.indexOf(view.focus) + by + paneNames.length) % paneNames.length
  return {...view, focus: paneNames[at] as PaneName}
}

function steps(key: string, page: number): number | undefined {
  const known: Record<string, number> = {
    ...{up: -1, down: 1, j: 1, 'page-up': -page, 'page-down': page},
    ...{home: -Infinity, end: Infinity, g: -Infinity, G: Infinity},
  }
  return Object.hasOwn(known, key) ? known[key] : undefined
}

function select(view: View, snapshot: FleetSnapshot, by: number): View {
  const rows: readonly {id: string}[] = panesOf(snapshot, view.selected.nodes, view.filter)[view.focus].rows
  const at = Math.max(
    0,
    rows.findIndex(({id}) => id === view.selected[view.focus]),
  )
  const next = rows[Math.max(0, Math.min(rows.length - 1, at + by))]
  return {...view, selected: {...view.selected, [view.focus]: next?.id}}
}

/** The node, instance and waiting claim that a key means: the chosen row, or what stands on the chosen row. */
function chosen(view: View, snapshot: FleetSnapshot) {
  const panes = panesOf(snapshot, view.selected.nodes, view.filter)
  const pick = <T extends {id: string}>(rows: readonly T[], id: string | undefined) =>
    rows.find(row => row.id === id) ?? rows[0]
  const claim = view.focus === 'queue' ? pick(panes.queue.rows, view.selected.queue) : undefined
  const inPane = view.focus === 'instances' ? pick(panes.instances.rows, view.selected.instances) : undefined
  const gpu = view.focus === 'gpus' ? pick(panes.gpus.rows, view.selected.gpus) : undefined
  const onGpu =
    gpu &&
    snapshot.instances.find(
      ({name, nodeId, gpus}) =>
        gpu.heldBy.includes(name) && gpu.id === `${nodeId}/${gpu.index}` && gpus.includes(gpu.index),
    )
  const instance = inPane ?? onGpu
  const isOnNodes = view.focus === 'nodes' || view.focus === 'gpus'
  const node = isOnNodes
    ? pick(panes.nodes.rows, view.selected.nodes)
    : snapshot.nodes.find(({id}) => id === instance?.nodeId)
  return {claim, instance, node}
}
