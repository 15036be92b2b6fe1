const bars = '▁▂▃▄▅▆▇█'

/** Percentages as blocks, the higher the more; `·` where one is not known. The last `width` of them. */
export function sparkline(percents: readonly (number | null)[], width: number): string {
  return percents
    .slice(-width)
    .map(one => (one === null ? '·' : bars[Math.min(bars.length - 1, Math.floor((one / 100) * bars.length))]))
    .join('')
}
