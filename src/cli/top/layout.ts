import type {Paint} from '../output/paint.ts'
import {safe} from '../output/safe.ts'
import {paintWord} from '../output/state-paint.ts'
import {cutTo} from '../output/table.ts'
import type {FleetSnapshot} from './fleet.ts'
import {type ColumnShape, type Pane, type PaneName, paneNames, panesOf} from './panes.ts'
import type {View} from './view.ts'

export interface Canvas {
  columns: number
  rows: number
  paint: Paint
  /** Cells that a text takes on the screen. */
  widthOf: (text: string) => number
  /** Address of the server. */
  server: string
  /** Seconds since the last reading, once that is too long. */
  silentSeconds?: number
}

/** From this width on the panes stand two by two. */
const wide = 140
/** Below so many rows only the pane with the focus is drawn. */
const low = 12
const gap = 2
const markWidth = 2

/** The whole screen, line by line, never more lines than rows nor cells than columns. Pure. */
export function drawFleet(snapshot: FleetSnapshot, view: View, canvas: Canvas): string[] {
  const {columns, rows} = canvas
  if (view.mode === 'help') return drawHelp(canvas)
  const lines = [...headLines(snapshot, view, canvas), ...drawPanes(snapshot, view, canvas, rows - 3)].slice(
    0,
    rows - 1,
  )
  while (lines.length < rows - 1) lines.push('')
  return [...lines, cut(footOf(view), columns, canvas)]
}

function headLines({at, totals}: FleetSnapshot, view: View, canvas: Canvas): string[] {
  const {nodes, online, gpus, gpusHeld, gpuPercent, running, waiting} = totals
  const busy = gpuPercent === null ? '' : `, ${Math.round(gpuPercent)}% busy`
  const figures = [`GPUs ${gpusHeld} of ${gpus} held${busy}`, `${running} running`, `${waiting} waiting`]
  const filter = view.filter === '' ? [] : [`filter: ${view.filter}`]
  const silent = canvas.silentSeconds === undefined ? [] : [`NO READINGS FOR ${canvas.silentSeconds} s`]
  const first = [`gpuctl top  ${at.slice(11, 19)}Z`, ...silent, `nodes ${online} of ${nodes} online`, canvas.server]
  return [
    canvas.paint.strong(cut(first.join('  '), canvas.columns, canvas)),
    cut([...figures, ...filter].join('  '), canvas.columns, canvas),
  ]
}

function footOf({question, typing, message}: View): string {
  if (question) return `${question.text} y/N`
  if (typing) return `/${typing.text}_   Enter keeps it, Esc takes it away`
  return message || 'Tab pane  ↑↓ row  l logs  s ssh  k stop  d drain  / filter  ? help  q quit'
}

function drawPanes(snapshot: FleetSnapshot, view: View, canvas: Canvas, height: number): string[] {
  const panes = panesOf(snapshot, view.selected.nodes, view.filter)
  const draw = (name: PaneName, size: {columns: number; rows: number}) =>
    drawPane(
      panes[name],
      {...size, isFocused: name === view.focus, selected: view.selected[name], at: snapshot.at},
      canvas,
    )
  if (canvas.rows < low) return draw(view.focus, {columns: canvas.columns, rows: height})
  const wanted = (name: PaneName) => Math.max(1, panes[name].rows.length) + 1
  if (canvas.columns < wide) {
    const heights = shareOut(paneNames.map(wanted), height, paneNames.indexOf(view.focus))
    return paneNames.flatMap((name, at) => draw(name, {columns: canvas.columns, rows: heights[at] ?? 0}))
  }
  const pairs: readonly (readonly [PaneName, PaneName])[] = [
    ['nodes', 'gpus'],
    ['instances', 'queue'],
  ]
  const focus = pairs.findIndex(pair => pair.includes(view.focus))
  const heights = shareOut(
    pairs.map(([a, b]) => Math.max(wanted(a), wanted(b))),
    height,
    focus,
  )
  const left = Math.floor((canvas.columns - gap) / 2)
  const right = canvas.columns - gap - left
  return pairs.flatMap(([a, b], at) => {
    const rows = heights[at] ?? 0
    const [first, second] = [draw(a, {columns: left, rows}), draw(b, {columns: right, rows})]
    return first.map((line, row) => line + ' '.repeat(gap) + (second[row] ?? ''))
  })
}

/** Rows for each pane: what it wants where there is room, else an equal part, and what is left to the focus first. */
export function shareOut(wanted: readonly number[], room: number, focus: number): number[] {
  const part = Math.max(2, Math.floor(room / wanted.length))
  const heights = wanted.map(one => Math.min(one, part))
  let left = room - heights.reduce((sum, one) => sum + one, 0)
  const order = [focus, ...wanted.keys()]
  for (const at of order) {
    const more = Math.max(0, Math.min(left, (wanted[at] ?? 0) - (heights[at] ?? 0)))
    heights[at] = (heights[at] ?? 0) + more
    left -= more
  }
  return heights
}

interface PaneSize {
  columns: number
  rows: number
  isFocused: boolean
  selected: string | undefined
  at: string
}

/** Exactly so many lines, all of the same width, so that panes can stand beside each other. */
function drawPane(pane: Pane, size: PaneSize, canvas: Canvas): string[] {
  const {paint, widthOf} = canvas
  const columns = pane.columns.filter(({from = 0}) => size.columns >= from)
  const widths = widthsOf(columns, size.columns - markWidth)
  const pad = (text: string, at: number) => {
    const shown = cutTo(safe(text), widths[at] ?? 0, widthOf)
    const space = ' '.repeat(Math.max(0, (widths[at] ?? 0) - widthOf(shown)))
    return columns[at]?.right ? space + shown : shown + space
  }
  const whole = (line: string) => {
    const shown = cutTo(line, size.columns, widthOf)
    return shown + ' '.repeat(Math.max(0, size.columns - widthOf(shown)))
  }
  const found = pane.rows.findIndex(({id}) => id === size.selected)
  const selectedAt = Math.max(0, found)
  const visible = Math.max(0, size.rows - 1)
  const from = Math.max(0, Math.min(selectedAt - Math.floor(visible / 2), pane.rows.length - visible))
  const now = Date.parse(size.at)
  const heads = columns.map(({head}, at) => pad(head, at)).join(' '.repeat(gap))
  const head = whole(`${size.isFocused ? '▸ ' : '  '}${heads}`)
  const lines = pane.rows.slice(from, from + visible).map((_, at) => {
    const isSelected = size.isFocused && from + at === selectedAt
    const cells = columns.map((column, index) => {
      const cell = pad(pane.text(from + at, column, now), index)
      return column.isState ? paintWord(cell, paint) : cell
    })
    const line = `${isSelected ? '> ' : '  '}${cells.join(' '.repeat(gap))}`
    return isSelected ? paint.strong(line) : line
  })
  if (pane.rows.length === 0) lines.push(whole(`  ${pane.empty}`))
  while (lines.length < visible) lines.push(' '.repeat(size.columns))
  return [size.isFocused ? paint.strong(head) : paint.faint(head), ...lines].slice(0, size.rows)
}

function widthsOf(columns: readonly ColumnShape[], room: number): number[] {
  const fixed = columns.reduce((sum, {width}) => sum + width, 0) + gap * (columns.length - 1)
  const grows = columns.reduce((sum, {grow = 0}) => sum + grow, 0)
  const left = room - fixed
  const widths = columns.map(({width, grow = 0}) => width + (left > 0 ? Math.floor((left * grow) / grows) : 0))
  const growing = columns.findIndex(({grow}) => grow)
  const rest = () => room - widths.reduce((sum, one) => sum + one, 0) - gap * (columns.length - 1)
  if (rest() > 0 && growing >= 0) widths[growing] = (widths[growing] ?? 0) + rest()
  // Too narrow even so: the widest give way.
  while (rest() < 0 && Math.max(...widths) > 1) widths[widths.indexOf(Math.max(...widths))] = Math.max(...widths) - 1
  return widths
}

function cut(text: string, width: number, {widthOf}: Canvas): string {
  return cutTo(safe(text), width, widthOf)
}

const help = [
  'Keys',
  '',
  '  Tab, Shift-Tab   next pane, the one before',
  '  ↑ ↓ PgUp PgDn    another row; Home, End: the first, the last',
  '  l                follow the logs of the instance; Ctrl-C comes back',
  '  s                a shell in it over SSH',
  '  k                stop the instance, or cancel the claim that waits (asks)',
  '  d                drain the node (asks)',
  '  /                only rows with these words; Esc: all again',
  '  q, Ctrl-C        quit',
  '',
  'HELD are the GPUs that instances hold, GPU LOAD how busy each one is.',
  'Any key goes back.',
]

function drawHelp(canvas: Canvas): string[] {
  const lines = help.slice(0, canvas.rows).map(line => cut(line, canvas.columns, canvas))
  return [...lines, ...Array<string>(Math.max(0, canvas.rows - lines.length)).fill('')]
}
