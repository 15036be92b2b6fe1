/** What the choice of a runtime looks at: what its last beat told, when there was one. */
export interface Candidate {
  id: string
  /** Percent, ms; null = unknown. */
  load: {
    activeRequests: number
    cpuPercent: number
    memoryPercent: number
    gpuPercent: number | null
    gpuMemoryPercent: number | null
    gpuCapabilityScore: number | null
    averageResponseMs: number | null
  } | null
  /** The load is recent enough to be trusted. */
  isFresh: boolean
}

/** What this server knows of a runtime by its own calls. */
export interface Load {
  inFlight: number
  /** Smoothed time to the first byte; undefined when there is no recent one. */
  firstByteMs: number | undefined
  /** Grows with each choice: the runtime chosen longest ago has the smallest. */
  lastTurn: number
}

/** A processor beyond this has no room for one more request. */
const busyPercent = 80

/**
 * The runtime for the next request: fewest in flight, then the quicker one, then the one with more room, then whose turn
 * it is. Those with busy processors are passed over, unless all are, or of one of them no fresh figures are known.
 * Pure; undefined when there is none.
 */
export function choose<C extends Candidate>(candidates: readonly C[], loadOf: (candidate: C) => Load): C | undefined {
  const areFresh = candidates.every(({isFresh}) => isFresh)
  const calm = areFresh ? candidates.filter(({load}) => (load?.cpuPercent ?? 0) <= busyPercent) : []
  const open = calm.length > 0 ? calm : candidates
  const figures = open.map(candidate => ({candidate, rank: rankOf(candidate, loadOf(candidate), areFresh)}))
  return figures.reduce<(typeof figures)[number] | undefined>(
    (best, one) => (best === undefined || isBefore(one.rank, best.rank) ? one : best),
    undefined,
  )?.candidate
}

/** In the order of their weight; smaller is better. */
function rankOf({load}: Candidate, {inFlight, firstByteMs, lastTurn}: Load, areFresh: boolean): number[] {
  const told = areFresh && load ? load : undefined
  const usage = [told?.cpuPercent, told?.memoryPercent, told?.gpuPercent, told?.gpuMemoryPercent]
  return [
    // It may also work for others than us; and its beat may be older than what we sent.
    Math.max(inFlight, told?.activeRequests ?? 0),
    latencyClass(firstByteMs ?? load?.averageResponseMs ?? null),
    ...usage.map(percent => percent ?? 0),
    -(load?.gpuCapabilityScore ?? 0),
    lastTurn,
  ]
}

/** Doubling steps: what differs by less is equally quick. An unknown one is tried first, so that it becomes known. */
function latencyClass(latencyMs: number | null): number {
  return latencyMs === null ? 0 : Math.ceil(Math.log2(Math.max(1, latencyMs)))
}

function isBefore(one: readonly number[], other: readonly number[]): boolean {
  const at = one.findIndex((figure, index) => figure !== other[index])
  return at !== -1 && (one[at] as number) < (other[at] as number)
}
