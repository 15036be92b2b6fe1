import type {Site} from '../contract/schemas/sites.ts'

const dayMs = 24 * 60 * 60_000
/** Each of two months has its last day within so many. */
const daysLooked = 62

/** Names of snapshots that a schedule makes, and it alone deletes; their order is that of time. */
export const scheduledPrefix = 'auto-'

export type Schedule = Pick<Site, 'scheduleFrequency' | 'scheduleTime' | 'scheduleDays'>

/**
 * The first moment after `afterMs`, in UTC; null when there is none. Of a week the days count from 0 = Monday. Of a month
 * a day that it does not have is its last one.
 */
export function nextRun({scheduleFrequency, scheduleTime, scheduleDays}: Schedule, afterMs: number): number | null {
  if (scheduleFrequency === 'manual') return null
  const [hours = 0, minutes = 0] = (scheduleTime ?? '00:00').split(':').map(Number)
  const wanted = new Set((scheduleDays ?? '').split(',').filter(Boolean).map(Number))
  const midnight = afterMs - (((afterMs % dayMs) + dayMs) % dayMs)
  for (let day = 0; day < daysLooked; day++) {
    const atMs = midnight + day * dayMs + (hours * 60 + minutes) * 60_000
    if (atMs > afterMs && isDay(new Date(atMs), scheduleFrequency, wanted)) return atMs
  }
  return null
}

function isDay(date: Date, frequency: Site['scheduleFrequency'], wanted: ReadonlySet<number>): boolean {
  if (frequency === 'daily') return true
  if (frequency === 'weekly') return wanted.has((date.getUTCDay() + 6) % 7)
  const day = date.getUTCDate()
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
  return wanted.has(day) || (day === last && [...wanted].some(one => one > last))
}

/** As `auto-20260131-0705`. The same run has the same name, so that a repeat makes no second one. */
export function scheduledName(runAt: string): string {
  return `${scheduledPrefix}${runAt.slice(0, 16).replaceAll(/[-:]/g, '').replace('T', '-')}`
}

/** Of the schedule's own snapshots those that have to go; the newest one never. */
export function expired(
  names: readonly string[],
  {retentionCopies, expireDays}: {retentionCopies: number; expireDays: number | null},
  nowMs: number,
): string[] {
  const own = names.filter(name => runOf(name) !== undefined).sort()
  const newestFirst = own.reverse()
  const isOld = (name: string) => expireDays !== null && nowMs - (runOf(name) ?? nowMs) > expireDays * dayMs
  return newestFirst.filter((name, at) => at > 0 && (at >= retentionCopies || isOld(name)))
}

function runOf(name: string): number | undefined {
  const [, year, month, day, hours, minutes] = /^auto-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)$/.exec(name) ?? []
  return year === undefined ? undefined : Date.parse(`${year}-${month}-${day}T${hours}:${minutes}:00Z`)
}
