import type {GpuReading} from './collector.ts'

/** A card of AMD's tools. `busId` is its PCI address in lower case, by which the kernel's device files are found. */
export interface AmdCard extends GpuReading {
  busId: string | null
}

export interface AmdCards {
  cards: AmdCard[]
  driverVersion: string | null
}

type Tree = Record<string, unknown>

/**
 * Reads `amd-smi static --json` and `amd-smi metric --json`, each a bare array or `{"gpu_data": […]}` as the release has it.
 * Undefined when neither has a list of GPUs.
 */
export function parseAmdSmi(staticText: string, metricText: string): AmdCards | undefined {
  const described = gpuList(parseJson(staticText))
  const measured = gpuList(parseJson(metricText))
  if (!described || !measured) return
  const cards = described.flatMap((gpu): AmdCard[] => {
    const index = indexOf(gpu.gpu)
    const metric = measured.find(one => indexOf(one.gpu) === index)
    if (index === null || !metric) return [] // described once, and answers no longer
    const busId = word(at(gpu, 'bus', 'bdf'))?.toLowerCase() ?? null
    return [
      {
        ...unread(index),
        uuid: identity(word(at(gpu, 'asic', 'asic_serial')), busId, index),
        model: word(at(gpu, 'asic', 'market_name')) ?? 'AMD GPU',
        memoryMiB: mebibytes(at(metric, 'mem_usage', 'total_vram')) ?? mebibytes(at(gpu, 'vram', 'size')),
        memoryUsedMiB: mebibytes(at(metric, 'mem_usage', 'used_vram')),
        utilizationPercent: percentage(at(metric, 'usage', 'gfx_activity')),
        temperatureC: quantity(at(metric, 'temperature', 'edge')) ?? quantity(at(metric, 'temperature', 'hotspot')),
        powerW: quantity(at(metric, 'power', 'socket_power')) ?? quantity(at(metric, 'power', 'current_socket_power')),
        busId,
      },
    ]
  })
  const driverVersion = described.map(gpu => word(at(gpu, 'driver', 'version'))).find(version => version !== null)
  return {cards: distinct(cards), driverVersion: driverVersion ?? null}
}

/** Reads `rocm-smi … --json`: an object with a `cardN` for each card. Its keys changed their case between releases. */
export function parseRocmSmi(text: string): AmdCards | undefined {
  const root = parseJson(text)
  if (!isTree(root)) return
  const cards = Object.entries(root).flatMap(([key, value]): AmdCard[] => {
    const index = indexOf(/^card(\d+)$/.exec(key)?.[1])
    if (index === null || !isTree(value)) return []
    const field = (...names: string[]) => fieldOf(value, names)
    const busId = word(field('PCI Bus'))?.toLowerCase() ?? null
    const bytes = (name: string) => inMebibytes(quantity(field(name)), 'B')
    return [
      {
        ...unread(index),
        uuid: identity(word(field('Unique ID')), busId, index),
        model: word(field('Card Series', 'Device Name', 'Card Model')) ?? 'AMD GPU',
        memoryMiB: bytes('VRAM Total Memory (B)'),
        memoryUsedMiB: bytes('VRAM Total Used Memory (B)'),
        utilizationPercent: percentage(field('GPU use (%)')),
        temperatureC: quantity(field('Temperature (Sensor edge) (C)', 'Temperature (Sensor junction) (C)')),
        powerW: quantity(
          field(
            'Average Graphics Package Power (W)',
            'Current Socket Graphics Package Power (W)',
            'Average Socket Power (W)',
          ),
        ),
        busId,
      },
    ]
  })
  const driverVersion = isTree(root.system) ? word(fieldOf(root.system, ['Driver version'])) : null
  return {cards: distinct(cards), driverVersion}
}

function unread(index: number): Omit<AmdCard, 'uuid' | 'model' | 'busId'> {
  return {
    index,
    vendor: 'amd',
    memoryMiB: null,
    memoryUsedMiB: null,
    utilizationPercent: null,
    temperatureC: null,
    powerW: null,
    computeCapability: null,
    devicePaths: [],
    parentUuid: null,
    simulated: false,
  }
}

/**
 * The chip's serial number, written alike whichever tool told it (one drops leading zeros), else where the card sits, else its
 * place in the list.
 */
function identity(serial: string | null, busId: string | null, index: number): string {
  const digits = /^0x([0-9a-f]{1,32})$/i.exec(serial ?? '')?.[1]?.toLowerCase()
  if (digits && /[1-9a-f]/.test(digits)) return `0x${digits.padStart(16, '0')}`
  return `AMD-${busId ?? index}`
}

/** Each index once; the parts of a partitioned card share its serial number, so the later ones get their index behind it. */
function distinct(cards: readonly AmdCard[]): AmdCard[] {
  const result: AmdCard[] = []
  for (const card of cards) {
    if (result.some(other => other.index === card.index)) continue
    const isTaken = result.some(other => other.uuid === card.uuid)
    result.push(isTaken ? {...card, uuid: `${card.uuid}-${card.index}`} : card)
  }
  return result.sort((a, b) => a.index - b.index)
}

/** The tools may print a warning before the JSON. */
function parseJson(text: string): unknown {
  const start = text.search(/^\s*[[{]/m)
  if (start < 0) return
  try {
    return JSON.parse(text.slice(start))
  } catch {
    return
  }
}

function gpuList(root: unknown): Tree[] | undefined {
  const list = isTree(root) ? root.gpu_data : root
  return Array.isArray(list) ? list.filter(isTree) : undefined
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function at(tree: Tree, ...path: string[]): unknown {
  return path.reduce<unknown>((node, key) => (isTree(node) ? node[key] : undefined), tree)
}

/** The first of the names that the card has, whatever their case. */
function fieldOf(tree: Tree, names: readonly string[]): unknown {
  for (const name of names) {
    const key = Object.keys(tree).find(one => one.toLowerCase() === name.toLowerCase())
    if (key !== undefined && word(tree[key]) !== null) return tree[key]
  }
  return undefined
}

function word(value: unknown): string | null {
  const text = typeof value === 'string' ? value.trim().slice(0, 200) : ''
  return text === '' || /^(n\/a|none|unknown)$/i.test(text) ? null : text
}

/** A figure as number, as text, or as `{"value", "unit"}`; null when it is none or negative. */
function quantity(value: unknown): number | null {
  if (isTree(value)) return quantity(value.value)
  const text = typeof value === 'number' ? String(value) : word(value)
  const digits = /^(\d+(?:\.\d+)?)(?: *[A-Za-z%]{1,3})?$/.exec(text ?? '')?.[1]
  const figure = Number(digits)
  return digits !== undefined && figure <= Number.MAX_SAFE_INTEGER ? figure : null
}

function percentage(value: unknown): number | null {
  const figure = quantity(value)
  return figure !== null && figure <= 100 ? figure : null
}

/** AMD writes MB for 2^20 bytes. */
function mebibytes(value: unknown): number | null {
  const unit = isTree(value) ? word(value.unit) : (/[A-Za-z]+$/.exec(word(value) ?? '')?.[0] ?? null)
  return inMebibytes(quantity(value), unit ?? 'MB')
}

function inMebibytes(figure: number | null, unit: string): number | null {
  const power = ['GB', 'MB', 'KB', 'B'].indexOf(unit.toUpperCase()) - 1
  return figure === null || power < -1 ? null : Math.round(figure / 1024 ** power)
}

function indexOf(value: unknown): number | null {
  const text = String(value)
  return /^\d{1,3}$/.test(text) ? Number(text) : null
}
