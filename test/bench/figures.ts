/** The value below which that share (0…1) of the values lies; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle]!
  return (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** With so many digits as a reader can use: 12,345 · 123 · 12.3 · 1.23. */
export function round(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en-US', {minimumFractionDigits: digits, maximumFractionDigits: digits})
}

/** How long something took, in milliseconds: the middle, the slow end, the slowest. */
export interface Spread {
  count: number
  p50: number
  p99: number
  max: number
}

export function spreadOf(valuesMs: readonly number[]): Spread {
  return {
    count: valuesMs.length,
    p50: percentile(valuesMs, 0.5),
    p99: percentile(valuesMs, 0.99),
    max: percentile(valuesMs, 1),
  }
}
