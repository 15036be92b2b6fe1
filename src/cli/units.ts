import {Flags} from '@oclif/core'
import {usageError} from './failure.ts'

const unitMs: Record<string, number> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000}

/** `90s`, `10m`, `1h30m`, `2d`, or plain seconds. Milliseconds; usage error otherwise. */
export function readDuration(text: string, what: string): number {
  const given = text.trim().toLowerCase()
  if (/^\d+(\.\d+)?$/.test(given)) return Number(given) * 1000
  if (!/^(\d+(\.\d+)?(ms|[smhdw]))+$/.test(given)) {
    throw usageError(`${what}: ${text} is not a duration.`, 'Write it as 30s, 10m, 1h30m or 2d.')
  }
  let total = 0
  for (const [, number, unit = 's'] of given.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    total += Number(number) * (unitMs[unit] ?? 0)
  }
  return total
}

/** How long ago, as `10m`, or a time as RFC 3339; milliseconds since 1970. */
export function readTime(text: string, what: string): number {
  const time = /^\d{4}-/.test(text) ? Date.parse(text) : Date.now() - readDuration(text, what)
  if (!Number.isNaN(time)) return time
  throw usageError(`${what}: ${text} is not a time.`, 'Write it as 10m, 2d or 2026-11-21T10:00:00Z.')
}

const unitMiB: Record<string, number> = {k: 1 / 1024, m: 1, g: 1024, t: 1024 * 1024}

/** `24GiB`, `24G`, `24GB`, `512m`, or plain MiB: memory counts in powers of two here. MiB, rounded up. */
export function readMemoryMiB(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt])?(?:i?b)?$/i.exec(text.trim())
  if (!match) throw usageError(`${what}: ${text} is not an amount of memory.`, 'Write it as 24GiB or 512MiB.')
  return Math.ceil(Number(match[1]) * (unitMiB[(match[2] ?? 'm').toLowerCase()] ?? 1))
}

/** `KEY=VALUE` words as a record; a later one wins. */
export function readPairs(words: readonly string[] | undefined, what: string): Record<string, string> | undefined {
  if (!words || words.length === 0) return undefined
  return Object.fromEntries(
    words.map(word => {
      const at = word.indexOf('=')
      if (at < 1) throw usageError(`${what}: ${word} is not KEY=VALUE.`)
      return [word.slice(0, at), word.slice(at + 1)]
    }),
  )
}

/** A flag that takes a duration; its value is in milliseconds. */
export const durationFlag = Flags.custom<number>({
  helpValue: '<duration>',
  parse: async (text, _, {name}) => readDuration(text, `--${name}`),
})

/** A flag that takes an amount of memory; its value is in MiB. */
export const memoryFlag = Flags.custom<number>({
  helpValue: '<memory>',
  parse: async (text, _, {name}) => readMemoryMiB(text, `--${name}`),
})

export const labelFlag = Flags.string({
  description: 'label KEY=VALUE; may be repeated',
  multiple: true,
  multipleNonGreedy: true,
  helpValue: 'key=value',
})
