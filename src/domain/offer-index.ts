import {
  chooseGpus,
  diskMissing,
  fitOn,
  freeGpus,
  gpuSuits,
  impossible,
  isTighter,
  isUsable,
  type Needs,
  type Offer,
  type OfferedGpu,
  without,
} from './placement.ts'

/** Fitting nodes of one bucket that are compared with one another. */
const compared = 16

/** Nodes with the same kinds of GPUs, by how many are free. */
interface Family {
  kinds: readonly Pick<OfferedGpu, 'model' | 'memoryMiB'>[]
  /** Index = free GPUs. */
  buckets: Set<string>[]
  /** Wanted model and memory → how many of the kinds will do. */
  suiting: Map<string, number>
}

/**
 * The fleet's free GPUs in buckets, so that a claim looks at a few nodes and not at all of them (performance B4). Binding
 * takes from the index at once, before the store has agreed.
 */
export class OfferIndex {
  readonly #offers = new Map<string, Offer>()
  readonly #families = new Map<string, Family>()
  /** Nodes with cards that can be split. */
  readonly #splitting = new Set<string>()
  readonly #places = new Map<string, {family: Family; free: number}>()

  #revision = 0

  /** Counts the changes. */
  get revision(): number {
    return this.#revision
  }

  get size(): number {
    return this.#offers.size
  }

  get(nodeId: string): Offer | undefined {
    return this.#offers.get(nodeId)
  }

  all(): Offer[] {
    return [...this.#offers.values()]
  }

  set(offer: Offer): void {
    this.#revision++
    this.#unplace(offer.nodeId)
    this.#offers.set(offer.nodeId, offer)
    if (offer.gpus.some(({leftMiB}) => leftMiB !== undefined)) this.#splitting.add(offer.nodeId)
    else this.#splitting.delete(offer.nodeId)
    this.#place(offer)
  }

  delete(nodeId: string): void {
    this.#revision++
    this.#unplace(nodeId)
    this.#splitting.delete(nodeId)
    this.#offers.delete(nodeId)
  }

  /** The fullest node that fits, of those that are not excluded. */
  find(needs: Needs, excluded: (nodeId: string) => boolean): {offer: Offer; gpus: OfferedGpu[]} | undefined {
    if (needs.node !== undefined) return this.#findPinned(needs, needs.node, excluded)
    const count = needs.gpus?.count ?? 0
    if (count > 0 && needs.gpus?.shareMiB !== undefined) return this.#findParts(needs, excluded)
    let best: {offer: Offer; free: number; allSuit: boolean} | undefined
    for (const family of this.#families.values()) {
      const {kinds, buckets} = family
      const suiting = count === 0 ? kinds.length : suitingKinds(family, needs)
      if (count > 0 && suiting === 0) continue
      const last = Math.min(buckets.length - 1, best?.free ?? Number.POSITIVE_INFINITY)
      for (let free = count; free <= last; free++) {
        const offer = this.#findIn(buckets[free]!, needs, excluded, suiting === kinds.length)
        if (!offer) continue
        const allSuit = suiting === kinds.length
        if (!best || free < best.free || isTighter(offer, best.offer)) best = {offer, free, allSuit}
        break
      }
    }
    if (best?.allSuit) return {offer: best.offer, gpus: chooseGpus(best.offer.gpus, count)}
    const found = best && fitOn(needs, best.offer)
    return best && found && 'gpus' in found ? {offer: best.offer, gpus: found.gpus} : undefined
  }

  /** Some node could hold it if it were empty; `refused` ones count, since they may come back. */
  isPossible(needs: Needs, excluded: (nodeId: string) => boolean = () => false): boolean {
    for (const offer of this.#offers.values()) {
      if (!excluded(offer.nodeId) && impossible(needs, offer) === '') return true
    }
    return false
  }

  /** The node that comes closest to holding it: it would have to free the fewest GPUs. */
  closest(needs: Needs): Offer | undefined {
    let best: {offer: Offer; suitable: number} | undefined
    for (const offer of this.#offers.values()) {
      if (offer.refusal !== '' || impossible(needs, offer) !== '') continue
      const suitable = offer.gpus.reduce((sum, gpu) => sum + (isUsable(gpu, needs) && gpuSuits(gpu, needs) ? 1 : 0), 0)
      if (!best || suitable > best.suitable) best = {offer, suitable}
    }
    return best?.offer
  }

  take(nodeId: string, gpus: readonly OfferedGpu[], needs: Needs): void {
    const offer = this.#offers.get(nodeId)
    if (!offer) return
    this.#revision++
    const place = this.#places.get(nodeId)
    this.#unplace(nodeId)
    const left = without(offer, gpus, needs)
    this.#offers.set(nodeId, left)
    if (place) this.#placeIn(place.family, left, place.free - freeGpus({gpus}))
  }

  /** `allSuit`: whatever is free there will do, so the bucket has answered for the GPUs already. */
  #findIn(
    bucket: Set<string>,
    needs: Needs,
    excluded: (nodeId: string) => boolean,
    allSuit: boolean,
  ): Offer | undefined {
    let best: Offer | undefined
    let fitting = 0
    for (const nodeId of bucket) {
      if (excluded(nodeId)) continue
      const offer = this.#offers.get(nodeId)!
      if (allSuit ? !fitsBesidesGpus(needs, offer) : 'reason' in fitOn(needs, offer)) continue
      if (!best || isLeaner(offer, best)) best = offer
      if (++fitting >= compared) break
    }
    return best
  }

  /** Only nodes that split cards are looked at: the one that has to break the fewest whole cards, then the fullest. */
  #findParts(needs: Needs, excluded: (nodeId: string) => boolean) {
    let best: {offer: Offer; gpus: OfferedGpu[]; broken: number} | undefined
    for (const nodeId of this.#splitting) {
      const offer = this.#offers.get(nodeId)
      const found = offer && !excluded(nodeId) ? fitOn(needs, offer) : undefined
      if (!offer || !found || 'reason' in found) continue
      const broken = freeGpus(found)
      if (best && (broken > best.broken || (broken === best.broken && !isTighter(offer, best.offer)))) continue
      best = {offer, gpus: found.gpus, broken}
    }
    return best
  }

  #findPinned(needs: Needs, node: string, excluded: (nodeId: string) => boolean) {
    const direct = this.#offers.get(node)
    const offers = direct ? [direct] : [...this.#offers.values()].filter(({name}) => name === node)
    for (const offer of offers) {
      if (excluded(offer.nodeId)) continue
      const found = fitOn(needs, offer)
      if ('gpus' in found) return {offer, gpus: found.gpus}
    }
    return undefined
  }

  #place(offer: Offer): void {
    if (offer.refusal !== '') return
    this.#placeIn(this.#family(offer), offer, freeGpus(offer))
  }

  #placeIn(family: Family, offer: Offer, free: number): void {
    while (family.buckets.length <= free) family.buckets.push(new Set())
    family.buckets[free]!.add(offer.nodeId)
    this.#places.set(offer.nodeId, {family, free})
  }

  #unplace(nodeId: string): void {
    const place = this.#places.get(nodeId)
    if (!place) return
    place.family.buckets[place.free]!.delete(nodeId)
    this.#places.delete(nodeId)
  }

  #family({gpus, images}: Offer): Family {
    const kinds = new Map(gpus.map(({model, memoryMiB}) => [`${model}|${memoryMiB}`, {model, memoryMiB}]))
    const key = `${images} ${[...kinds.keys()].sort().join(' + ')}`
    const known = this.#families.get(key)
    if (known) return known
    const family: Family = {kinds: [...kinds.values()], buckets: [], suiting: new Map()}
    this.#families.set(key, family)
    return family
  }
}

/** Texts of needs that a family remembers. */
const mostNeeds = 1_000

function suitingKinds({kinds, suiting}: Family, needs: Needs): number {
  const {minMemoryMiB = 0, model = '', modelName = ''} = needs.gpus ?? {}
  const key = `${minMemoryMiB} ${model}|${modelName}`
  const known = suiting.get(key)
  if (known !== undefined) return known
  const found = kinds.filter(kind => gpuSuits(kind, needs)).length
  if (suiting.size >= mostNeeds) suiting.clear()
  suiting.set(key, found)
  return found
}

function fitsBesidesGpus(needs: Needs, offer: Offer): boolean {
  if (!offer.images && needs.image !== 'host') return false
  if ((needs.cpus ?? 0) > offer.cpusFree || (needs.memoryMiB ?? 0) > offer.memoryFreeMiB) return false
  if (diskMissing(needs, offer)) return false
  return Object.entries(needs.nodeLabels ?? {}).every(([key, value]) => offer.labels[key] === value)
}

/** Of nodes with equally many free GPUs. */
function isLeaner(one: Offer, other: Offer): boolean {
  return one.memoryFreeMiB !== other.memoryFreeMiB ? one.memoryFreeMiB < other.memoryFreeMiB : one.name < other.name
}
