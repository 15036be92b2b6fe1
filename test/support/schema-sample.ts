import fc from 'fast-check'
import {fitting} from './schema-arbitrary.ts'

interface JsonSchema {
  type?: string
  const?: unknown
  enum?: readonly unknown[]
  anyOf?: readonly JsonSchema[]
  properties?: Record<string, JsonSchema>
  patternProperties?: Record<string, JsonSchema>
  items?: JsonSchema
  description?: string
  pattern?: string
  format?: string
  minimum?: number
  maxLength?: number
}

/** What a machine might send in place of a word: escapes, bidi, a script tag, a wide character. */
const hostile = 'gpu\u001b[31m\u202e\u200b<b>\u0007 好'

/** States in which a command that waits is content: of work that goes on, of work that is over. */
export const going: readonly unknown[] = [
  'completed',
  'Running',
  'running',
  'online',
  'active',
  'ok',
  'ready',
  'drained',
]
export const ended: readonly unknown[] = ['completed', 'Completed', 'exited', ...going]

interface Wishes {
  /** Members that the asker named keep the asker's words where they fit. */
  given?: Record<string, unknown>
  states?: readonly unknown[]
}

/** One value that fits the schema, always the same. */
export function sample(schema: unknown, {given = {}, states = going}: Wishes = {}): unknown {
  const {type, const: only, enum: choices, anyOf, items, properties = {}, patternProperties} = schema as JsonSchema
  if (only !== undefined) return only
  if (choices) return states.find(one => choices.includes(one)) ?? choices[0]
  if (anyOf) return sample(anyOf.find(one => states.includes(one.const)) ?? anyOf[0], {given, states})
  if (type === 'array') return [sample(items ?? {}, {states}), sample(items ?? {}, {states})]
  if (type === 'string') return text(schema as JsonSchema)
  if (type === 'integer' || type === 'number') return Math.max((schema as JsonSchema).minimum ?? 0, 3)
  if (type === 'boolean') return true
  if (type !== 'object' || patternProperties) return fc.sample(fitting(schema), {numRuns: 1, seed: 7})[0]
  return Object.fromEntries(
    Object.entries(properties).map(([name, one]) => {
      const own = given[name]
      if (name === 'exitCode') return [name, 0]
      return [name, typeof own === 'string' && one.type === 'string' && name === 'name' ? own : sample(one, {states})]
    }),
  )
}

function text(schema: JsonSchema): string {
  const {description, pattern, format, maxLength = 100} = schema
  if (description === 'RFC 3339, UTC') return '2026-01-02T03:04:05.678Z'
  if (format === 'uuid') return '01234567-89ab-4cde-8f01-23456789abcd'
  if (pattern || maxLength < hostile.length) return fc.sample(fitting(schema), {numRuns: 1, seed: 7})[0] as string
  return hostile
}
