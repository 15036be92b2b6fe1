import type {Node} from '../contract/schemas/nodes.ts'

export interface LivenessSettings {
  /** Online until the last beat is so old. The documents' own figures (wire.md 6.4). */
  onlineForMs: number
  staleForMs: number
}
export const livenessDefaults: LivenessSettings = {onlineForMs: 60_000, staleForMs: 300_000}

/** By the age of the last beat; undefined = there was none. */
export function livenessOf(ageMs: number | undefined, settings: LivenessSettings = livenessDefaults): Node['liveness'] {
  if (ageMs === undefined) return 'never'
  if (ageMs <= settings.onlineForMs) return 'online'
  return ageMs <= settings.staleForMs ? 'stale' : 'offline'
}
