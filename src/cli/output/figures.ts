/** `3 min ago`; '' for no time. */
export function ago(time: string | null, now = Date.now()): string {
  return time === null ? '' : `${span(now - Date.parse(time))} ago`
}

/** A stretch of time in its largest unit. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 90) return `${seconds} s`
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

/** MiB as people say it. */
export function memory(mib: number | null | undefined): string {
  if (mib === null || mib === undefined) return ''
  return mib >= 1024 ? `${trim(mib / 1024)} GiB` : `${Math.round(mib)} MiB`
}

/** Bytes as people say it. */
export function bytes(count: number | null | undefined): string {
  if (count === null || count === undefined) return ''
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const step = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log(count) / Math.log(1024)))
  return `${trim(count / 1024 ** step)} ${units[step]}`
}

export function percent(value: number | null | undefined): string {
  return value === null || value === undefined ? '' : `${trim(value)} %`
}

function trim(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Math.round(value * 10) / 10)
}

/** `2 × RTX 4090 (simulated)`, equal models together. */
export function gpuSummary(gpus: readonly {model: string; simulated?: boolean}[]): string {
  const counts = new Map<string, number>()
  for (const {model, simulated} of gpus) {
    const name = simulated && !/simulated/i.test(model) ? `${model} (simulated)` : model
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return [...counts].map(([name, count]) => `${count} × ${name}`).join(', ')
}
