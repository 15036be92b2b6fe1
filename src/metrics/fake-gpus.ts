/** A card that is to be simulated. */
export interface FakeGpu {
  model: string
  memoryMiB: number
  computeCapability: string | null
}

/** What the user typed is no list of simulated GPUs; the message says what would be right. */
export class FakeGpusError extends Error {
  override readonly name = 'FakeGpusError'
}

/** Memory in GiB and compute capability, as the makers publish them. */
const knownModels: Record<string, readonly [memoryGiB: number, computeCapability: string | null]> = {
  RTX3060: [12, '8.6'],
  RTX3090: [24, '8.6'],
  RTX4080: [16, '8.9'],
  RTX4090: [24, '8.9'],
  RTX5090: [32, '12.0'],
  RTXA6000: [48, '8.6'],
  T4: [16, '7.5'],
  V100: [32, '7.0'],
  'V100-16GB': [16, '7.0'],
  A10: [24, '8.6'],
  A10G: [24, '8.6'],
  A40: [48, '8.6'],
  L4: [24, '8.9'],
  L40: [48, '8.9'],
  L40S: [48, '8.9'],
  A100: [80, '8.0'],
  'A100-40GB': [40, '8.0'],
  'A100-80GB': [80, '8.0'],
  H100: [80, '9.0'],
  'H100-80GB': [80, '9.0'],
  H200: [141, '9.0'],
  B200: [180, '10.0'],
  MI300X: [192, null],
}

const defaultModel = 'RTX4090'
const maxGpus = 64
const maxMemoryGiB = 1024
const rightWords = 'Write a number of GPUs (2), or groups such as 2xRTX4090,1xL40S or 1xMyCard:24GiB.'

/**
 * Reads what follows `--fake-gpus`: `2` (that many RTX4090), `2xRTX4090`, `4xH100-80GB`, `2xMyCard:24GiB`, and several
 * groups with commas between. Case does not matter. Throws FakeGpusError for anything else, and outside of 1–64 GPUs.
 */
export function parseFakeGpus(text: string): FakeGpu[] {
  const groups = text.split(',').map(group => group.trim())
  const gpus = groups.flatMap(group => parseGroup(group))
  if (gpus.length > maxGpus) throw tooMany(gpus.length)
  return gpus
}

function parseGroup(group: string): FakeGpu[] {
  const parts = /^(\d{1,6})(?:x([a-z][a-z0-9._-]{0,63})(?::(.*))?)?$/i.exec(group)
  if (!parts) throw new FakeGpusError(`"${shown(group)}" is no group of GPUs. ${rightWords}`)
  const [, count = '', model = defaultModel, memory] = parts
  if (Number(count) === 0)
    throw new FakeGpusError(`"${shown(group)}" asks for no GPU; 1 to ${maxGpus} can be simulated.`)
  if (Number(count) > maxGpus) throw tooMany(Number(count))
  return Array.from({length: Number(count)}, () => resolveModel(model, memory))
}

function resolveModel(typed: string, memory: string | undefined): FakeGpu {
  const name = Object.keys(knownModels).find(known => known.toLowerCase() === typed.toLowerCase())
  const known = name === undefined ? undefined : knownModels[name]
  if (memory !== undefined) {
    return {model: name ?? typed, memoryMiB: parseMemoryMiB(memory, typed), computeCapability: known?.[1] ?? null}
  }
  if (name === undefined || !known) {
    const names = Object.keys(knownModels).join(', ')
    throw new FakeGpusError(`The memory of "${typed}" is not known: add it (${typed}:24GiB), or use one of ${names}.`)
  }
  return {model: name, memoryMiB: known[0] * 1024, computeCapability: known[1]}
}

function parseMemoryMiB(text: string, model: string): number {
  const parts = /^(\d{1,7})(GiB|MiB)$/i.exec(text)
  const memoryMiB = Number(parts?.[1]) * (parts?.[2]?.toLowerCase() === 'gib' ? 1024 : 1)
  if (!parts || memoryMiB < 1 || memoryMiB > maxMemoryGiB * 1024) {
    throw new FakeGpusError(
      `"${shown(text)}" is no memory of a GPU. Write it as ${model}:24GiB or ${model}:24576MiB, up to ${maxMemoryGiB}GiB.`,
    )
  }
  return memoryMiB
}

function tooMany(count: number): FakeGpusError {
  return new FakeGpusError(`${count} GPUs are too many: 1 to ${maxGpus} can be simulated on a node.`)
}

/** What the user typed, fit for a terminal and not longer than a line. */
function shown(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 60)
}
