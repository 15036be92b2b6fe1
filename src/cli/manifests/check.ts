/** The part of JSON Schema that the contract's types use. */
export interface Schema {
  type?: string
  const?: unknown
  enum?: readonly unknown[]
  anyOf?: readonly Schema[]
  properties?: Readonly<Record<string, Schema>>
  required?: readonly string[]
  patternProperties?: Readonly<Record<string, Schema>>
  additionalProperties?: boolean | object
  maxProperties?: number
  items?: Schema
  minItems?: number
  maxItems?: number
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  description?: string
}

export interface Fault {
  /** Members and places in lists, from the top. */
  path: (string | number)[]
  problem: string
}

/** What is wrong with a value, in the order of the schema; none is right. */
export function faultsOf(value: unknown, schema: Schema, path: (string | number)[] = []): Fault[] {
  const {const: only, enum: words, anyOf} = schema
  const fault = (problem: string): Fault[] => [{path, problem}]
  if (only !== undefined) return value === only ? [] : fault(`must be ${String(only)}`)
  if (words) return words.includes(value) ? [] : fault(`is ${shown(value)}; it must be one of ${words.join(', ')}`)
  if (anyOf) {
    const found = anyOf.map(one => faultsOf(value, one, path))
    // Null is the other way in all unions of the contract.
    return found.some(faults => faults.length === 0) ? [] : (found[0] ?? [])
  }
  if (schema.type === 'object') return faultsOfObject(value, schema, path)
  if (schema.type === 'array') return faultsOfList(value, schema, path)
  if (schema.type === 'string') return faultsOfText(value, schema).flatMap(fault)
  if (schema.type === 'boolean')
    return typeof value === 'boolean' ? [] : fault(`is ${shown(value)}; it must be true or false`)
  if (schema.type === 'null') return value === null ? [] : fault('must be null')
  if (schema.type === 'integer' || schema.type === 'number') return faultsOfNumber(value, schema).flatMap(fault)
  return []
}

function faultsOfObject(value: unknown, schema: Schema, path: (string | number)[]): Fault[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [{path, problem: 'must be a map'}]
  const given = value as Record<string, unknown>
  const {properties = {}, required = [], patternProperties = {}, additionalProperties, maxProperties} = schema
  const patterns = Object.entries(patternProperties)
  const missing = required.filter(name => given[name] === undefined)
  const faults: Fault[] = missing.map(name => ({path: [...path, name], problem: 'is missing'}))
  for (const [name, one] of Object.entries(given)) {
    const at = [...path, name]
    const known = properties[name] ?? patterns.find(([pattern]) => new RegExp(pattern, 'u').test(name))?.[1]
    if (known) faults.push(...faultsOf(one, known, at))
    else if (patterns.length > 0) faults.push({path: at, problem: 'is not a name that fits here'})
    else if (additionalProperties === false) {
      faults.push({path: at, problem: `is not known here; there are ${Object.keys(properties).join(', ')}`})
    }
  }
  if (maxProperties !== undefined && Object.keys(given).length > maxProperties) {
    faults.push({path, problem: `has more than ${maxProperties} members`})
  }
  return faults
}

function faultsOfList(
  value: unknown,
  {items, minItems = 0, maxItems = Infinity}: Schema,
  path: (string | number)[],
): Fault[] {
  if (!Array.isArray(value)) return [{path, problem: 'must be a list'}]
  if (value.length < minItems) return [{path, problem: `must have at least ${minItems} entries`}]
  if (value.length > maxItems) return [{path, problem: `has more than ${maxItems} entries`}]
  return items ? value.flatMap((one, at) => faultsOf(one, items, [...path, at])) : []
}

function faultsOfText(value: unknown, {pattern, minLength = 0, maxLength = Infinity, description}: Schema): string[] {
  if (typeof value !== 'string')
    return [`is ${shown(value)}; it must be a text${typeof value === 'number' ? ', in quotes' : ''}`]
  const wanted = description ? `: ${description}` : ''
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value))
    return [`is ${shown(value)}, which does not fit${wanted}`]
  if (value.length < minLength) return [`must not be empty${wanted}`]
  return value.length > maxLength ? [`is longer than ${maxLength} characters`] : []
}

function faultsOfNumber(value: unknown, {type, minimum, maximum, exclusiveMinimum}: Schema): string[] {
  const kind = type === 'integer' ? 'a whole number' : 'a number'
  const isOne = typeof value === 'number' && Number.isFinite(value) && (type === 'number' || Number.isInteger(value))
  if (!isOne) return [`is ${shown(value)}; it must be ${kind}`]
  if (minimum !== undefined && value < minimum) return [`is ${value}; it must be at least ${minimum}`]
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum)
    return [`is ${value}; it must be more than ${exclusiveMinimum}`]
  return maximum !== undefined && value > maximum ? [`is ${value}; it must be at most ${maximum}`] : []
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}
