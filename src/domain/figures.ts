import type {Figure} from '../contract/schemas/machines.ts'

const gibPerUnit: Record<string, number> = {
  m: 1 / 1024,
  mb: 1 / 1024,
  mib: 1 / 1024,
  '': 1,
  g: 1,
  gb: 1,
  gib: 1,
  t: 1024,
  tb: 1024,
  tib: 1024,
}

/** `256GB`, `2TB`, `512`, 512 → whole GiB; a bare number is GiB. Null: it says no size. */
export function parseGiB(figure: Figure): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(String(figure))
  const factor = gibPerUnit[match?.[2]?.toLowerCase() ?? '']
  return match && factor !== undefined ? Math.floor(Number(match[1]) * factor) : null
}

/** `32`, `32 cores`, 32 → 32. Null: it says no number of cores; the 6248 of "Intel Xeon Gold 6248" is none. */
export function parseCores(figure: Figure): number | null {
  const match = /^\s*(\d{1,5})\s*(?:c|cores?|v?cpus?|核)?\s*$/i.exec(String(figure))
  return match ? Number(match[1]) : null
}
