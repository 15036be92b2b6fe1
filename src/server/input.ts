import type {FastifyRequest} from 'fastify'
import type {TSchema} from 'typebox'
import {type DomainError, isProblem, problem} from '../domain/errors.ts'

/** The part of JSON Schema that the contract uses. */
interface JsonSchema {
  type?: string
  description?: string
  enum?: unknown[]
  properties?: Record<string, JsonSchema>
  patternProperties?: Record<string, JsonSchema>
  additionalProperties?: boolean
  items?: JsonSchema
  anyOf?: JsonSchema[]
  required?: string[]
}

interface InputPlace {
  method: string
  /** Native path with `:name` parameters. */
  path: string
  schema: TSchema
  /** What is no part of the path stands in the query, whatever the method: the body is bytes. */
  isUpload?: boolean
}

interface Rules {
  strict: JsonSchema
  check: ReturnType<typeof import('typebox/schema').Compile>
}

interface Flaw {
  keyword: string
  instancePath: string
  schemaPath: string
  params: object
  message: string
}

/**
 * Makes the function that collects one operation's input from path, query (GET, DELETE) or body and checks it. The
 * check is compiled at first use, because a server that starts should not pay for routes that nobody calls; the
 * compiler itself is loaded then. It throws input_invalid, which names the field and says what would be right.
 */
export function inputReader({
  method,
  path,
  schema,
  isUpload = false,
}: InputPlace): (request: FastifyRequest) => Promise<unknown> {
  const bodyless = isUpload || method === 'GET' || method === 'DELETE'
  const pathNames = [...path.matchAll(/:(\w+)/g)].map(match => match[1] as string)
  let rules: Rules | undefined

  return async request => {
    rules ??= await compile(schema)
    const {strict, check} = rules
    const query = request.query as Record<string, string | string[]>
    const given = bodyless ? fromQuery(query, strict) : fromBody(request.body)
    if (bodyless ? request.body !== undefined && !isUpload : Object.keys(query).length > 0) {
      throw unknownField(bodyless ? 'body' : (Object.keys(query)[0] as string), 'has no place in this call', [])
    }
    for (const name of pathNames) {
      if (Object.hasOwn(given, name)) throw unknownField(name, 'stands in the path already', [])
      given[name] = (request.params as Record<string, string>)[name]
    }
    if (check.Check(given)) return given
    const [, flaws] = check.Errors(given)
    throw refusal(flaws as unknown as Flaw[], strict)
  }
}

/**
 * Makes the function that reads one part of a call of a foreign API and checks it; members that the schema does not
 * know are left out, as those APIs do, and so is null for a member that may be absent: that is how serde, pydantic and
 * Go write what is not set; forms write `?page=`. Throws input_invalid; `details.place` says in which part.
 */
export function partReader(schema: TSchema, place: 'path' | 'query' | 'body'): (part: unknown) => Promise<unknown> {
  let rules: Rules | undefined
  return async part => {
    rules ??= await compile(schema, loose => loose)
    try {
      return readPart(part, place, rules)
    } catch (error) {
      if (isProblem(error)) error.details.place = place
      throw error
    }
  }
}

function readPart(part: unknown, place: 'path' | 'query' | 'body', {strict: schema, check}: Rules): unknown {
  const all = place === 'body' ? fromBody(part) : fromQuery(part as Record<string, string | string[]>, schema)
  const {properties} = schema
  const given = properties
    ? Object.fromEntries(Object.entries(all).filter(([name]) => Object.hasOwn(properties, name)))
    : all
  if (check.Check(given)) return given
  const set = place === 'query' ? withoutEmpty(given, schema) : withoutUnset(given, schema)
  if (check.Check(set)) return set
  const [, flaws] = check.Errors(set)
  throw refusal(flaws as unknown as Flaw[], schema)
}

/** A copy without the members that are null where the schema lets them be absent, but not null. */
function withoutUnset(value: unknown, schema: JsonSchema | undefined): unknown {
  if (Array.isArray(value)) return value.map(one => withoutUnset(one, schema?.items))
  if (typeof value !== 'object' || value === null || !schema?.properties) return value
  const {properties, required = []} = schema
  const isUnset = (name: string) => {
    const rule = Object.hasOwn(properties, name) ? properties[name] : undefined
    return rule !== undefined && !required.includes(name) && !takesNull(rule)
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, one]) => one !== null || !isUnset(name))
      .map(([name, one]) => [name, withoutUnset(one, properties[name])]),
  )
}

/** A copy without the figures of a query that are empty and may be absent. */
function withoutEmpty(query: Record<string, unknown>, {properties, required = []}: JsonSchema): unknown {
  const isUnset = (name: string) => properties?.[name]?.type !== 'string' && !required.includes(name)
  return Object.fromEntries(Object.entries(query).filter(([name, value]) => value !== '' || !isUnset(name)))
}

/** A rule that names no type takes everything. */
function takesNull({type, anyOf, enum: values}: JsonSchema): boolean {
  if (anyOf) return anyOf.some(takesNull)
  return values ? values.includes(null) : type === undefined || type === 'null'
}

async function compile(schema: TSchema, change = withoutUnknownMembers): Promise<Rules> {
  const {Compile} = await import('typebox/schema')
  const strict = change(JSON.parse(JSON.stringify(schema)) as JsonSchema)
  return {strict, check: Compile(strict as TSchema)}
}

/** A copy of the schema in which every object takes only the members that it names. */
function withoutUnknownMembers(schema: JsonSchema): JsonSchema {
  const inner = (members?: Record<string, JsonSchema>) =>
    members && Object.fromEntries(Object.entries(members).map(([name, one]) => [name, withoutUnknownMembers(one)]))
  const strict = {...schema}
  if (schema.properties) strict.properties = inner(schema.properties)
  if (schema.patternProperties) strict.patternProperties = inner(schema.patternProperties)
  if (schema.items) strict.items = withoutUnknownMembers(schema.items)
  if (schema.anyOf) strict.anyOf = schema.anyOf.map(withoutUnknownMembers)
  if (schema.properties || schema.patternProperties) strict.additionalProperties ??= false
  return strict
}

function fromBody(body: unknown): Record<string, unknown> {
  if (body === undefined) return {}
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw problem('input_invalid', {field: 'body', problem: 'is not an object', fix: 'Send one JSON object.'})
  }
  return {...body}
}

/** Query values are text; the schema says what they mean. What cannot be read stays text and fails the check. */
function fromQuery(query: Record<string, string | string[]>, schema: JsonSchema): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(query).map(([name, given]) => {
      const field = name.slice(0, 64)
      const known = schema.properties?.[name]
      if ([given].flat().some(text => text.includes('\0'))) {
        throw problem('input_invalid', {field, problem: 'holds a NUL character', fix: 'Leave it out.'})
      }
      if (known?.type === 'array') return [name, [given].flat()]
      if (Array.isArray(given)) {
        throw problem('input_invalid', {field, problem: 'is given more than once', fix: 'Give it once.'})
      }
      return [name, fromText(given, known?.type)]
    }),
  )
}

function fromText(text: string, type: string | undefined): unknown {
  if (type === 'boolean')
    return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text
  const isNumber = (type === 'integer' || type === 'number') && /^-?\d{1,16}(\.\d{1,16})?$/.test(text)
  return isNumber && Math.abs(Number(text)) <= Number.MAX_SAFE_INTEGER ? Number(text) : text
}

/** Turns the first flaw into words: what is wrong with which field, and what would be right. */
function refusal(flaws: Flaw[], schema: JsonSchema): DomainError {
  const unknown = flaws.find(flaw => flaw.keyword === 'additionalProperties')
  const flaw = unknown ?? flaws.find(one => one.keyword !== 'boolean') ?? flaws[0]
  if (!flaw) return problem('input_invalid', {field: 'body', problem: 'is not valid', fix: 'See /swagger/index.html.'})
  const params = flaw.params as {
    additionalProperties?: string[]
    requiredProperties?: string[]
    allowedValues?: unknown[]
  }
  const place = flaw.instancePath.split('/').slice(1).map(unescaped)
  const rule = schemaAt(schema, flaw.schemaPath)
  const of = (name: string | undefined) => [...place, name].join('.').slice(0, 64)
  if (flaw.keyword === 'additionalProperties') {
    return unknownField(of(params.additionalProperties?.[0]), 'is not known here', Object.keys(rule?.properties ?? {}))
  }
  if (flaw.keyword === 'required') {
    const name = params.requiredProperties?.[0] ?? ''
    return problem('input_invalid', {
      field: of(name),
      problem: 'is missing',
      fix: takes(rule?.properties?.[name], 'Give it.'),
    })
  }
  const allowed = params.allowedValues?.join(', ')
  const wrong = flaw.keyword === 'pattern' ? 'has another form' : flaw.message
  return problem('input_invalid', {
    field: place.join('.').slice(0, 64) || 'body',
    problem: allowed ? `must be one of ${allowed}` : wrong,
    fix: allowed ? 'Give one of them.' : takes(rule, 'Correct it.'),
  })
}

function unknownField(field: string, wrong: string, known: string[]): DomainError {
  const fix = known.length > 0 ? `Leave it out; known are ${known.join(', ')}.` : 'Leave it out.'
  return problem('input_invalid', {field: field.slice(0, 64), problem: wrong, fix})
}

function takes(rule: JsonSchema | undefined, otherwise: string): string {
  if (rule?.description) return `It takes ${rule.description}.`
  if (rule?.enum) return `It takes one of ${rule.enum.join(', ')}.`
  return rule?.type ? `It takes ${/^[aeiou]/.test(rule.type) ? 'an' : 'a'} ${rule.type}.` : otherwise
}

function schemaAt(schema: JsonSchema, pointer: string): JsonSchema | undefined {
  let found: unknown = schema
  for (const step of pointer.split('/').slice(1))
    found = (found as Record<string, unknown> | undefined)?.[unescaped(step)]
  return found as JsonSchema | undefined
}

function unescaped(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~')
}
