import type {ClaimSpec} from '../contract/schemas/claims.ts'
import {OfferIndex} from './offer-index.ts'
import {type Offer, type OfferedGpu, shapeOf} from './placement.ts'

/** A claim that waits, as light as possible. */
export interface Waiting {
  id: string
  number: number
  createdAtMs: number
  spec: ClaimSpec
  /** Nodes that it must not go to now: something of it is still there. */
  excluded?: readonly string[]
  /** Nodes that failed to make its container: only when no other could hold it. */
  avoided?: readonly string[]
}

export interface Placement {
  claim: Waiting
  nodeId: string
  nodeName: string
  runtime: string
  gpus: OfferedGpu[]
}

/** The oldest claim that is blocked so long gets a node kept for it (rule 1). */
export const reserveAfterMs = 10 * 60_000

/** Waiting claims of one shape in their order. The front ones are gone when `from` is past them. */
interface Line {
  shape: string
  claims: Waiting[]
  from: number
}

/**
 * The queue: strict by priority, then age. Claims of a shape stand in one line, and a line whose head does not fit is
 * left alone until something is freed: so a pass costs as much as it places, not as much as waits.
 */
export class Planner {
  readonly #index = new OfferIndex()
  readonly #lines = new Map<string, Line>()
  readonly #places = new Map<string, {line: Line; claim: Waiting}>()
  readonly #blocked = new Set<Line>()
  #heads: Line[] | undefined
  #reservation: {claim: Waiting; nodeId: string} | undefined

  get waiting(): number {
    return this.#places.size
  }

  get reservation(): {claimId: string; nodeId: string} | undefined {
    return this.#reservation && {claimId: this.#reservation.claim.id, nodeId: this.#reservation.nodeId}
  }

  offers(): Offer[] {
    return this.#index.all()
  }

  /** Another number whenever an offer is another one. */
  get revision(): number {
    return this.#index.revision
  }

  fits(spec: ClaimSpec): boolean {
    return this.#index.find(spec, () => false) !== undefined
  }

  isPossible(spec: ClaimSpec): boolean {
    return this.#index.isPossible(spec)
  }

  add(claim: Waiting): void {
    this.remove(claim.id)
    const line = this.#line(claim)
    const at = rank(line, claim)
    line.claims.splice(at, 0, claim)
    this.#places.set(claim.id, {line, claim})
    // A new head may fit where the former did not only because the former was kept from a node; asking costs little.
    if (at === line.from) this.#unblock(line)
  }

  remove(claimId: string): void {
    const place = this.#places.get(claimId)
    if (!place) return
    this.#take(place.line, rank(place.line, place.claim))
    if (this.#reservation?.claim.id === claimId) this.#endReservation()
  }

  setOffer(offer: Offer): void {
    this.#index.set(offer)
    if (offer.refusal !== '' && this.#reservation?.nodeId === offer.nodeId) this.#reservation = undefined
    this.lookAgain()
  }

  deleteOffer(nodeId: string): void {
    this.#index.delete(nodeId)
    if (this.#reservation?.nodeId === nodeId) this.#endReservation()
  }

  /** Forgets what did not fit: something was freed, or time has passed. */
  lookAgain(): void {
    this.#blocked.clear()
    this.#heads = undefined
  }

  /** The next claims that can be bound, at most `most`; empty when nothing more fits. Their GPUs are taken at once. */
  next(nowMs: number, {most, until = () => false}: {most: number; until?: () => boolean}): Placement[] {
    const placements: Placement[] = []
    const heads = this.#heap()
    while (placements.length < most && heads.length > 0 && !until()) {
      const line = heads[0]!
      const claim = line.claims[line.from]
      const found = claim && this.#place(claim, nowMs)
      if (!claim || !found) {
        if (claim) this.#blocked.add(line)
        popTop(heads)
        continue
      }
      this.#take(line, line.from, true)
      if (this.#reservation?.claim.id === claim.id) this.#endReservation()
      placements.push({
        claim,
        nodeId: found.offer.nodeId,
        nodeName: found.offer.name,
        runtime: found.offer.runtime ?? '',
        gpus: found.gpus,
      })
      if (this.#heads === undefined) break // a reservation ended: the others may fit now
      if (line.from >= line.claims.length) popTop(heads)
      else siftDown(heads, 0)
    }
    return placements
  }

  /** Nothing more can be placed now. */
  get isDone(): boolean {
    return this.#heap().length === 0
  }

  /** 1 = next; undefined when it does not wait. */
  position(claimId: string): number | undefined {
    const place = this.#places.get(claimId)
    return place && this.countAhead(place.claim) + 1
  }

  /** How many waiting claims stand before it. */
  countAhead(claim: Pick<Waiting, 'number' | 'createdAtMs' | 'spec'>): number {
    let ahead = 0
    for (const line of this.#lines.values()) ahead += rank(line, claim) - line.from
    return ahead
  }

  #place(claim: Waiting, nowMs: number): {offer: Offer; gpus: OfferedGpu[]} | undefined {
    const {spec, excluded = [], avoided = []} = claim
    const reserved = this.#reservation
    const keptFor = reserved && precedes(reserved.claim, claim) ? reserved.nodeId : undefined
    const barred = (nodeId: string) => nodeId === keptFor || excluded.includes(nodeId)
    const careful = (nodeId: string) => barred(nodeId) || avoided.includes(nodeId)
    let found = this.#index.find(spec, careful)
    if (!found && avoided.length > 0 && !this.#index.isPossible(spec, nodeId => avoided.includes(nodeId))) {
      found = this.#index.find(spec, barred)
    }
    if (found) this.#index.take(found.offer.nodeId, found.gpus, spec)
    else if (nowMs - claim.createdAtMs >= reserveAfterMs) this.#reserve(claim)
    return found
  }

  /** One node for one claim: the first blocked one in the order. It keeps its node as long as that could hold it. */
  #reserve(claim: Waiting): void {
    if (this.#reservation && !precedes(claim, this.#reservation.claim)) return
    const offer = this.#index.closest(claim.spec)
    if (offer) this.#reservation = {claim, nodeId: offer.nodeId}
  }

  #endReservation(): void {
    this.#reservation = undefined
    this.lookAgain()
  }

  #line(claim: Waiting): Line {
    const own = claim.excluded?.length || claim.avoided?.length ? ` ${claim.id}` : ''
    const shape = shapeOf(claim.spec) + own
    const known = this.#lines.get(shape)
    if (known) return known
    const line: Line = {shape, claims: [], from: 0}
    this.#lines.set(shape, line)
    return line
  }

  #take(line: Line, at: number, keepsHeap = false): void {
    this.#places.delete(line.claims[at]!.id)
    if (at === line.from) {
      line.from++
      if (line.from > 64 && line.from * 2 > line.claims.length) {
        line.claims = line.claims.slice(line.from)
        line.from = 0
      }
      if (!keepsHeap) this.#unblock(line)
    } else line.claims.splice(at, 1)
    if (line.from >= line.claims.length) {
      this.#lines.delete(line.shape)
      this.#blocked.delete(line)
    }
  }

  #unblock(line: Line): void {
    this.#blocked.delete(line)
    this.#heads = undefined
  }

  #heap(): Line[] {
    if (this.#heads) return this.#heads
    const heads = [...this.#lines.values()].filter(line => !this.#blocked.has(line))
    for (let at = (heads.length >> 1) - 1; at >= 0; at--) siftDown(heads, at)
    this.#heads = heads
    return heads
  }
}

/** A whole pass over a queue. Pure; the controller works with a Planner that it keeps. */
export function schedule(queue: readonly Waiting[], offers: readonly Offer[], nowMs: number): Placement[] {
  const planner = new Planner()
  for (const offer of offers) planner.setOffer(offer)
  for (const claim of [...queue].sort((a, b) => (precedes(a, b) ? -1 : 1))) planner.add(claim)
  const placements: Placement[] = []
  while (!planner.isDone) placements.push(...planner.next(nowMs, {most: 1_000}))
  return placements
}

/** Priority, then age, then number. */
export function precedes(
  one: Pick<Waiting, 'number' | 'createdAtMs' | 'spec'>,
  other: Pick<Waiting, 'number' | 'createdAtMs' | 'spec'>,
): boolean {
  const higher = (other.spec.priority ?? 0) - (one.spec.priority ?? 0)
  return (higher || one.createdAtMs - other.createdAtMs || one.number - other.number) < 0
}

/** Where the claim stands, or would stand, in the line. */
function rank(line: Line, claim: Pick<Waiting, 'number' | 'createdAtMs' | 'spec'>): number {
  let low = line.from
  let high = line.claims.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (precedes(line.claims[middle]!, claim)) low = middle + 1
    else high = middle
  }
  return low
}

function headPrecedes(one: Line, other: Line): boolean {
  const a = one.claims[one.from]
  const b = other.claims[other.from]
  return a !== undefined && (b === undefined || precedes(a, b))
}

function siftDown(heap: Line[], at: number): void {
  for (;;) {
    let top = at
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && headPrecedes(heap[child]!, heap[top]!)) top = child
    }
    if (top === at) return
    const moved = heap[at]!
    heap[at] = heap[top]!
    heap[top] = moved
    at = top
  }
}

function popTop(heap: Line[]): void {
  const last = heap.pop()!
  if (heap.length > 0) {
    heap[0] = last
    siftDown(heap, 0)
  }
}
