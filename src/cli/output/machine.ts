import type {Writable} from 'node:stream'
import {usageError} from '../failure.ts'
import {loadYaml} from '../yaml.ts'
import {escapeJson, safe} from './safe.ts'

export type MachineFormat = 'json' | 'ndjson' | 'yaml'

/** The value as text of that format, with a newline at its end. */
export async function encodeValue(value: unknown, format: MachineFormat): Promise<string> {
  if (format === 'json') return `${escapeJson(JSON.stringify(value, undefined, 2))}\n`
  if (format === 'ndjson') return [value].flat().map(encodeLine).join('')
  const {stringify} = await loadYaml()
  return stringify(withSafeTexts(value), {aliasDuplicateObjects: false, lineWidth: 0})
}

/** One value on one line of NDJSON. */
export function encodeLine(value: unknown): string {
  return `${escapeJson(JSON.stringify(value))}\n`
}

/** Only these members of each object, in this order; usage error for one that none of them has. */
export function pickFields(value: unknown, fields: readonly string[]): unknown {
  const rows = [value].flat() as Record<string, unknown>[]
  for (const field of fields) {
    if (rows.length > 0 && !rows.some(row => Object.hasOwn(row ?? {}, field))) {
      throw usageError(`There is no field ${field}.`, `There are ${Object.keys(rows[0] ?? {}).join(', ')}.`)
    }
  }
  const pick = (row: Record<string, unknown>) => Object.fromEntries(fields.map(field => [field, row[field] ?? null]))
  return Array.isArray(value) ? rows.map(pick) : pick(value as Record<string, unknown>)
}

function withSafeTexts(value: unknown): unknown {
  if (typeof value === 'string') return safe(value, {keepNewlines: true})
  if (Array.isArray(value)) return value.map(withSafeTexts)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [safe(key), withSafeTexts(one)]))
}

/** Writes and waits until the stream has room again. */
export async function write(stream: Writable, text: string | Uint8Array): Promise<void> {
  if (stream.destroyed || stream.write(text)) return
  await new Promise<void>(resolve => {
    const go = () => {
      for (const name of ['drain', 'close', 'error']) stream.off(name, go)
      resolve()
    }
    for (const name of ['drain', 'close', 'error']) stream.on(name, go)
  })
}
