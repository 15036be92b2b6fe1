import fc from 'fast-check'

/** The part of JSON Schema that our contracts use. */
interface JsonSchema {
  type?: string
  const?: unknown
  enum?: readonly unknown[]
  anyOf?: readonly JsonSchema[]
  properties?: Record<string, JsonSchema>
  patternProperties?: Record<string, JsonSchema>
  required?: readonly string[]
  items?: JsonSchema
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  minItems?: number
  maxItems?: number
}

/** Values that fit the schema. */
export function fitting(schema: unknown): fc.Arbitrary<unknown> {
  const {type, const: only, enum: choices, anyOf, ...rest} = schema as JsonSchema
  if (only !== undefined) return fc.constant(only)
  if (choices) return fc.constantFrom(...choices)
  if (anyOf) return fc.oneof(...anyOf.map(fitting))
  if (type === 'string') return text(rest)
  if (type === 'integer') return fc.integer(bounds(rest))
  if (type === 'number') return fc.double({...bounds(rest), noNaN: true, noDefaultInfinity: true})
  if (type === 'boolean') return fc.boolean()
  if (type === 'null') return fc.constant(null)
  if (type === 'array') {
    const {items = {}, minItems = 0, maxItems = 4} = rest
    return fc.array(fitting(items), {minLength: minItems, maxLength: Math.max(minItems, Math.min(maxItems, 4))})
  }
  if (type === 'object') return members(rest)
  return fc.jsonValue({maxDepth: 2})
}

function members({properties = {}, patternProperties, required = []}: JsonSchema): fc.Arbitrary<unknown> {
  const [first] = Object.entries(patternProperties ?? {})
  if (first) return fc.dictionary(fc.stringMatching(new RegExp(first[0])), fitting(first[1]), {maxKeys: 3})
  const model = Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, fitting(one)]))
  return fc.record(model, {requiredKeys: [...required], noNullPrototype: true})
}

/** `(?!…)` with groups one deep in it; the generator of texts knows none. */
const lookahead = /\(\?!(?:[^()]|\([^()]*\))*\)/g

function text({pattern, minLength = 0, maxLength = 40}: JsonSchema): fc.Arbitrary<string> {
  if (pattern) {
    const whole = new RegExp(pattern)
    return fc.stringMatching(new RegExp(pattern.replace(lookahead, '')), {size: 'small'}).filter(one => whole.test(one))
  }
  return fc.string({unit: 'grapheme', minLength, maxLength: Math.max(minLength, Math.min(maxLength, 40))})
}

function bounds({minimum = 0, maximum = 1_000_000, exclusiveMinimum}: JsonSchema): {min: number; max: number} {
  return {min: exclusiveMinimum === undefined ? minimum : exclusiveMinimum + 1, max: maximum}
}

const odd: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 1e300, 2 ** 53 + 2, '', ' ', '\0', '\u202e', '../../etc/passwd', '%2e%2e'],
  ...[
    'a'.repeat(5_000),
    '\ud800',
    "' OR 1=1 --",
    '$(id)',
    '{{7*7}}',
    [],
    {},
    [[[[[]]]]],
    {a: {b: {c: {}}}},
    ['x'],
    '1e9',
    'NaN',
  ],
  ...[
    '00000000-0000-0000-0000-000000000000',
    '2024-13-45T99:99:99Z',
    '999.1.1.1',
    '0x7f.1',
    '__proto__',
    'constructor',
  ],
]

/** Values that are like fitting ones, with one member that is wrong, gone or strange; now and then something else altogether. */
export function broken(schema: unknown): fc.Arbitrary<unknown> {
  const names = Object.keys((schema as JsonSchema).properties ?? {})
  if (names.length === 0) return fc.constantFrom(...odd)
  const spoiled = fc
    .tuple(fitting(schema), fc.constantFrom(...names, 'unknown', '__proto__x'), fc.constantFrom(...odd), fc.boolean())
    .map(([value, name, wrong, leaveOut]) => {
      const copy = {...(value as Record<string, unknown>)}
      if (leaveOut) delete copy[name]
      else copy[name] = wrong
      return copy
    })
  return fc.oneof({weight: 9, arbitrary: spoiled}, {weight: 1, arbitrary: fc.constantFrom(...odd)})
}
