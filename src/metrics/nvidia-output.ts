import type {GpuReading} from './collector.ts'

/** What one call of `nvidia-smi --query-gpu` is asked, in this order. A tool that does not know one names it and ends with 2. */
export const queryFields = [
  'index',
  'uuid',
  'name',
  'memory.total',
  'memory.used',
  'utilization.gpu',
  'temperature.gpu',
  'power.draw',
  'compute_cap',
  'mig.mode.current',
  'driver_version',
  'pci.bus_id',
] as const

export type QueryField = (typeof queryFields)[number]

/** Without these two a card cannot be told from another. */
export const identityFields: readonly QueryField[] = ['index', 'uuid']

/** A card as the tool lists it; `migEnabled` ones are given out by slices only. */
export interface Card extends GpuReading {
  migEnabled: boolean
}

export interface MigSlice {
  /** The card's index as the tool counts. */
  card: number
  slice: number
  profile: string
  uuid: string
}

/**
 * Reads the rows of one query. A row that is not one (the tool prints its complaint about a lost card between the rows)
 * comes back in `strayLine`. Each index and uuid appears once.
 */
export function parseRows(
  text: string,
  fields: readonly QueryField[],
): {cards: Card[]; driverVersion: string | null; strayLine: string | undefined} {
  const cards: Card[] = []
  let driverVersion: string | null = null
  let strayLine: string | undefined
  for (const line of text.split('\n').filter(one => one.trim() !== '' && !one.startsWith('WARNING:'))) {
    const cells = line.split(',').map(cell => cell.trim())
    const cell = (field: QueryField) => known(cells[fields.indexOf(field)])
    const index = wholeNumber(cell('index'))
    const uuid = cell('uuid')
    const isRow =
      cells.length === fields.length && index !== null && index < maxCards && /^GPU-[\w-]+$/.test(uuid ?? '')
    if (!isRow || cards.some(card => card.index === index || card.uuid === uuid)) {
      strayLine ??= line
      continue
    }
    driverVersion ??= cell('driver_version')
    cards.push({
      index,
      uuid: uuid!,
      vendor: 'nvidia',
      model: cell('name') ?? 'NVIDIA GPU',
      memoryMiB: quantity(cell('memory.total')),
      memoryUsedMiB: quantity(cell('memory.used')),
      utilizationPercent: quantity(cell('utilization.gpu'), 100),
      temperatureC: quantity(cell('temperature.gpu')),
      powerW: quantity(cell('power.draw')),
      computeCapability: cell('compute_cap'),
      devicePaths: [],
      parentUuid: null,
      simulated: false,
      migEnabled: cell('mig.mode.current') === 'Enabled',
    })
  }
  return {cards, driverVersion, strayLine}
}

/** Reads `nvidia-smi -L`: a line for each card, and under it one for each of its MIG slices. */
export function parseSlices(text: string): MigSlice[] {
  const slices: MigSlice[] = []
  let card: number | null = null
  for (const line of text.split('\n')) {
    card = wholeNumber(/^GPU (\d+):/.exec(line)?.[1]) ?? card
    const [, profile, position, uuid] = /^\s+MIG\s+(\S+)\s+Device\s+(\d+):\s*\(UUID:\s*(MIG-[\w/-]+)\)/.exec(line) ?? []
    const slice = wholeNumber(position)
    if (card === null || slice === null || slice >= sliceSpan || !profile || !uuid) continue
    if (slices.some(other => other.uuid === uuid || (other.card === card && other.slice === slice))) continue
    slices.push({card, slice, profile, uuid})
  }
  return slices
}

const maxCards = 100
const sliceSpan = 100

/**
 * A slice as a GPU of its own. Its index is 100 × (card + 1) + slice (the third slice of card 0 is 102), so it never meets a
 * whole card's, which stay below 100. The tool gives use, power and memory in use for the card alone: for the slice they are
 * unknown. The temperature is the card's, since they share the chip.
 */
export function readingOfSlice(card: Card, {slice, profile, uuid}: MigSlice): GpuReading {
  const {migEnabled: _, ...reading} = card
  return {
    ...reading,
    index: sliceSpan * (card.index + 1) + slice,
    uuid,
    model: `${card.model} MIG ${profile}`,
    memoryMiB: memoryOfProfile(profile),
    memoryUsedMiB: null,
    utilizationPercent: null,
    powerW: null,
    parentUuid: card.uuid,
  }
}

/** `1g.10gb`, `1c.3g.40gb`, `1g.10gb+me`. The name rounds: a 10gb slice has some percent less than 10 GiB. */
function memoryOfProfile(profile: string): number | null {
  const gibibytes = wholeNumber(/\.(\d+)gb(?:$|[+.])/.exec(profile)?.[1])
  return gibibytes === null ? null : gibibytes * 1024
}

/** The tool's words for "this card does not say". */
function known(cell: string | undefined): string | null {
  if (!cell || /^\[.*\]$/.test(cell) || /^(n\/a|not supported|unknown error|err!|no|undefined)$/i.test(cell))
    return null
  return cell
}

/** A figure that is not negative, with or without its unit; null for anything else, so that nonsense never becomes 0. */
function quantity(cell: string | null, most = Number.MAX_SAFE_INTEGER): number | null {
  const digits = /^(\d+(?:\.\d+)?)(?: (?:MiB|W|%|C))?$/.exec(cell ?? '')?.[1]
  const value = Number(digits)
  return digits !== undefined && value <= most ? value : null
}

function wholeNumber(text: string | null | undefined): number | null {
  return /^\d{1,9}$/.test(text ?? '') ? Number(text) : null
}
