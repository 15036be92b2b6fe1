import type {ClaimSpec} from '../contract/schemas/claims.ts'

/** A node as placement sees it. Memory in MiB. */
export interface Offer {
  nodeId: string
  name: string
  /** Why it takes no work at all now (`cordoned`, `offline`, `Docker is not answering`, …), or ''. */
  refusal: string
  runtime?: string
  /** Any image can be run; without it only `host`. */
  images: boolean
  labels: Record<string, string>
  cpus: number
  cpusFree: number
  memoryMiB: number
  memoryFreeMiB: number
  /** Where the operator said how large they are; absent: nobody asks. */
  systemDisk?: Disk
  dataDisk?: Disk
  gpus: readonly OfferedGpu[]
}

export interface Disk {
  gib: number
  freeGiB: number
}

export interface OfferedGpu {
  index: number
  uuid: string
  model: string
  memoryMiB: number | null
  simulated: boolean
  /** Nobody holds any of it, and it is not disabled. */
  free: boolean
  /** An operator took it out of placement. */
  disabled?: true
  /** Memory that is left for parts of it (HAMi); absent: it is never split. */
  leftMiB?: number
}

export interface Verdict {
  nodeId: string
  node: string
  fits: boolean
  /** The first unmet need, in words; '' when it fits. */
  reason: string
}

/** The part of a spec that decides where it can run. Claims of one shape fit, or do not fit, together. */
export type Needs = Pick<
  ClaimSpec,
  'image' | 'gpus' | 'cpus' | 'memoryMiB' | 'systemDiskGiB' | 'dataDiskGiB' | 'node' | 'nodeLabels'
>

export function shapeOf(needs: Needs): string {
  const {image, gpus, cpus, memoryMiB, systemDiskGiB, dataDiskGiB, node, nodeLabels} = needs
  const labels = nodeLabels ? Object.entries(nodeLabels).sort(([a], [b]) => (a < b ? -1 : 1)) : []
  return JSON.stringify([
    image === 'host',
    gpus?.count ?? 0,
    gpus?.model ? bare(gpus.model) : '',
    gpus?.modelName ? nameOf(gpus.modelName) : '',
    gpus?.minMemoryMiB ?? 0,
    gpus?.shareMiB ?? 0,
    cpus ?? 0,
    memoryMiB ?? 0,
    systemDiskGiB ?? 0,
    dataDiskGiB ?? 0,
    node ?? '',
    labels,
  ])
}

/** Without regard to case, spaces and punctuation: `rtx4090` finds "NVIDIA GeForce RTX 4090". */
export function modelMatches(model: string, wanted: string): boolean {
  return bare(model).includes(bare(wanted))
}

const brands = /\b(nvidia|amd|geforce|quadro|tesla|radeon|instinct)\b/gi

/** The whole name, brand words aside: "NVIDIA GeForce RTX 4090" is `RTX 4090`, and "RTX 4090 D" is not. */
export function isModel(model: string, name: string): boolean {
  return nameOf(model) === nameOf(name)
}

function nameOf(model: string): string {
  return bare(model.replace(brands, ''))
}

function bare(model: string): string {
  return model.toLowerCase().replace(/[^a-z0-9]/g, '')
}

export function gpuSuits(gpu: Pick<OfferedGpu, 'model' | 'memoryMiB'>, needs: Needs): boolean {
  const {model, modelName, minMemoryMiB} = needs.gpus ?? {}
  if (model !== undefined && !modelMatches(gpu.model, model)) return false
  if (modelName !== undefined && !isModel(gpu.model, modelName)) return false
  return minMemoryMiB === undefined || (gpu.memoryMiB ?? 0) >= minMemoryMiB
}

/** Free for the claim: the whole card, or room for its part of it. */
export function isUsable(gpu: OfferedGpu, needs: Needs): boolean {
  const share = needs.gpus?.shareMiB
  return share === undefined ? gpu.free : (gpu.leftMiB ?? 0) >= share
}

/** The node's GPUs that the claim would get, or the first need that the node does not meet. */
export function fitOn(needs: Needs, offer: Offer): {gpus: OfferedGpu[]} | {reason: string} {
  const never = impossible(needs, offer)
  if (offer.refusal !== '') return {reason: offer.refusal}
  if (never !== '') return {reason: never}
  const count = needs.gpus?.count ?? 0
  const free = offer.gpus.filter(gpu => isUsable(gpu, needs) && gpuSuits(gpu, needs))
  if (free.length < count) {
    const suitable = offer.gpus.filter(gpu => gpuSuits(gpu, needs)).length
    const disabled = offer.gpus.filter(gpu => gpu.disabled && gpuSuits(gpu, needs)).length
    const asked = `${disabled > 0 ? `, ${disabled} disabled` : ''}${count > 1 ? `, ${count} asked` : ''}`
    const share = needs.gpus?.shareMiB
    if (share !== undefined) return {reason: `has ${size(share)} left on ${free.length} of ${suitable} GPUs${asked}`}
    return {reason: `has ${free.length} of ${suitable} GPUs free${asked}`}
  }
  const missing = limitsMissing(needs, offer) || diskMissing(needs, offer)
  if (missing) return {reason: missing}
  return {gpus: needs.gpus?.shareMiB === undefined ? chooseGpus(free, count) : chooseParts(free, count)}
}

/** Why what is free of processors and memory is too little, or ''. */
export function limitsMissing(
  {cpus = 0, memoryMiB = 0}: Pick<ClaimSpec, 'cpus' | 'memoryMiB'>,
  {cpusFree, memoryFreeMiB}: Pick<Offer, 'cpusFree' | 'memoryFreeMiB'>,
): string {
  if (cpus > cpusFree) return `${round(cpusFree)} CPUs free, ${cpus} asked`
  return memoryMiB > memoryFreeMiB ? `${size(memoryFreeMiB)} of memory free, ${size(memoryMiB)} asked` : ''
}

/** The smallest free cards, and of equal ones the first: big ones stay for who needs them. */
export function chooseGpus(gpus: readonly OfferedGpu[], count: number): OfferedGpu[] {
  const free = gpus.filter(gpu => gpu.free)
  if (free.length > count) free.sort((a, b) => (a.memoryMiB ?? 0) - (b.memoryMiB ?? 0) || a.index - b.index)
  return free.slice(0, count).sort((a, b) => a.index - b.index)
}

/** Of cards with room, those that are split already and have least left: whole ones stay whole. One part of each. */
function chooseParts(gpus: readonly OfferedGpu[], count: number): OfferedGpu[] {
  const order = (a: OfferedGpu, b: OfferedGpu) =>
    Number(a.free) - Number(b.free) || (a.leftMiB ?? 0) - (b.leftMiB ?? 0) || a.index - b.index
  return [...gpus]
    .sort(order)
    .slice(0, count)
    .sort((a, b) => a.index - b.index)
}

/** The offer once the claim has those cards of it. */
export function without(offer: Offer, gpus: readonly OfferedGpu[], needs: Needs): Offer {
  const taken = new Set(gpus.map(gpu => gpu.index))
  const share = needs.gpus?.shareMiB
  const leftOf = ({leftMiB}: OfferedGpu) => leftMiB && (share === undefined ? 0 : leftMiB - share)
  const take = (disk: Disk | undefined, gib = 0) => disk && {...disk, freeGiB: disk.freeGiB - gib}
  return {
    ...offer,
    cpusFree: offer.cpusFree - (needs.cpus ?? 0),
    memoryFreeMiB: offer.memoryFreeMiB - (needs.memoryMiB ?? 0),
    systemDisk: take(offer.systemDisk, needs.systemDiskGiB),
    dataDisk: take(offer.dataDisk, needs.dataDiskGiB),
    gpus: offer.gpus.map(gpu => (taken.has(gpu.index) ? {...gpu, free: false, leftMiB: leftOf(gpu)} : gpu)),
  }
}

/** Why the node could not hold it even if it were empty and well, or ''. */
export function impossible(needs: Needs, offer: Offer): string {
  if (needs.node !== undefined && needs.node !== offer.name && needs.node !== offer.nodeId) {
    return 'is not the node that it asks for'
  }
  for (const [key, value] of Object.entries(needs.nodeLabels ?? {})) {
    if (offer.labels[key] !== value) return `label ${key}=${value} missing`
  }
  const isChosen = needs.image !== ''
  if (!offer.images && isChosen && needs.image !== 'host') return 'runs only the image host'
  const count = needs.gpus?.count ?? 0
  if (count > 0) {
    const problem = gpusMissing(needs, offer, count)
    if (problem) return problem
  }
  if ((needs.cpus ?? 0) > offer.cpus) return `has ${offer.cpus} CPUs, ${needs.cpus} asked`
  if ((needs.memoryMiB ?? 0) > offer.memoryMiB) {
    return `has ${size(offer.memoryMiB)} of memory, ${size(needs.memoryMiB ?? 0)} asked`
  }
  return diskMissing(needs, offer, 'gib')
}

/** Which disk is too small, or too full: `of` says which figure counts. '' when none is. */
export function diskMissing(
  {systemDiskGiB = 0, dataDiskGiB = 0}: Needs,
  {systemDisk, dataDisk}: Offer,
  of: keyof Disk = 'freeGiB',
): string {
  const short = (disk: Disk | undefined, asked: number) => disk !== undefined && asked > disk[of]
  const words = (disk: Disk | undefined, name: string, asked: number) =>
    `has ${disk?.[of]} GiB of ${name}${of === 'gib' ? '' : ' free'}, ${asked} GiB asked`
  if (short(systemDisk, systemDiskGiB)) return words(systemDisk, 'system disk', systemDiskGiB)
  return short(dataDisk, dataDiskGiB) ? words(dataDisk, 'data disk', dataDiskGiB) : ''
}

function gpusMissing(needs: Needs, {gpus}: Offer, count: number): string {
  const {model, modelName, minMemoryMiB, shareMiB} = needs.gpus ?? {}
  if (gpus.length === 0) return 'has no GPU'
  const ofModel = gpus.filter(gpu => gpuSuits(gpu, {...needs, gpus: {count, model, modelName}}))
  if (ofModel.length === 0)
    return `model ${[...new Set(gpus.map(gpu => gpu.model))].join(', ')} ≠ ${modelName ?? model}`
  if (shareMiB !== undefined) return partsMissing(ofModel, shareMiB, count)
  const large = ofModel.filter(gpu => (gpu.memoryMiB ?? 0) >= (minMemoryMiB ?? 0))
  if (large.length === 0) return `no GPU with ≥ ${size(minMemoryMiB ?? 0)}`
  return large.length < count ? `has only ${large.length} GPUs, ${count} asked` : ''
}

function partsMissing(gpus: readonly OfferedGpu[], shareMiB: number, count: number): string {
  const split = gpus.filter(gpu => gpu.leftMiB !== undefined)
  if (split.length === 0) return 'does not split its GPUs (no HAMi-core)'
  const large = split.filter(gpu => sellableMiB(gpu) >= shareMiB)
  if (large.length === 0) return `no GPU with ≥ ${size(shareMiB)}`
  return large.length < count ? `has only ${large.length} GPUs, ${count} asked` : ''
}

/** The fullest node that can still hold it, and why each other one cannot. Pure. */
export function place(
  needs: Needs,
  offers: readonly Offer[],
): {offer: Offer; gpus: OfferedGpu[]} | {verdicts: Verdict[]} {
  let best: {offer: Offer; gpus: OfferedGpu[]} | undefined
  const verdicts: Verdict[] = []
  for (const offer of offers) {
    const found = fitOn(needs, offer)
    if ('reason' in found) verdicts.push({nodeId: offer.nodeId, node: offer.name, fits: false, reason: found.reason})
    else if (!best || isTighter(offer, best.offer)) best = {offer, gpus: found.gpus}
  }
  return best ?? {verdicts}
}

/** What each node says to it. */
export function explain(needs: Needs, offers: readonly Offer[]): Verdict[] {
  return offers.map(offer => {
    const found = fitOn(needs, offer)
    const reason = 'reason' in found ? found.reason : ''
    return {nodeId: offer.nodeId, node: offer.name, fits: reason === '', reason}
  })
}

/** Fewer free GPUs, then less free memory, then the name: the same node for the same question. */
export function isTighter(one: Offer, other: Offer): boolean {
  const difference = freeGpus(one) - freeGpus(other) || one.memoryFreeMiB - other.memoryFreeMiB
  return difference !== 0 ? difference < 0 : one.name < other.name
}

/** Memory of a card as its parts are counted: whole GiB, since a card of 24 GiB reports some MiB less. */
export function sellableMiB({memoryMiB}: Pick<OfferedGpu, 'memoryMiB'>): number {
  return Math.ceil((memoryMiB ?? 0) / 1024) * 1024
}

export function freeGpus({gpus}: Pick<Offer, 'gpus'>): number {
  let free = 0
  for (const gpu of gpus) if (gpu.free) free++
  return free
}

/** MiB for people. */
function size(memoryMiB: number): string {
  return memoryMiB >= 1024 ? `${round(memoryMiB / 1024)} GiB` : `${memoryMiB} MiB`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
