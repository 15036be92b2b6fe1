import fc from 'fast-check'
import {expect, test} from 'vitest'
import {contract} from '../../src/contract/contract.ts'
import type {Operation} from '../../src/contract/operation.ts'
import {apiPrefix, type OperationName, routes} from '../../src/contract/routes.ts'
import type {DialectRoute} from '../../src/server/dialect.ts'
import {dialects} from '../../src/server/dialects/registry.ts'
import {type ControlPlane, controlPlane, inParallel, type Reply} from '../support/control-plane.ts'
import {broken, fitting} from '../support/schema-arbitrary.ts'

/** Generated inputs of each kind for each route; the soak asks for 300. */
const runs = Number(process.env.GPUCTL_FUZZ_RUNS ?? 12)
const seed = Number(process.env.GPUCTL_FUZZ_SEED ?? Date.now() % 1_000_000)

interface Target {
  family: string
  method: string
  path: string
  params?: unknown
  query?: unknown
  body?: unknown
}

/** How each family says no. */
const envelopes: Record<string, (body: unknown) => void> = {
  native: body =>
    expect(body).toMatchObject({
      error: {code: expect.any(String), message: expect.any(String), hint: expect.any(String)},
    }),
  openai: body => expect(body).toMatchObject({error: {message: expect.any(String), type: expect.any(String)}}),
  'llm-router': body => expect(body).toMatchObject({error: expect.any(String)}),
  rental: body => expect(body).toEqual({code: expect.any(Number), data: null, msg: expect.any(String)}),
  fleet: body => expect(body).toHaveProperty('detail'),
  'gpu-claims': body => expect(body).toMatchObject({error: expect.any(String)}),
  infra: body => expect(body).toMatchObject({error: {code: expect.any(String), message: expect.any(String)}}),
}

/** They end the login that the other calls need, or wait for somebody. */
const left = ['auth.logout', 'POST /v0/auth/logout']

const targets = [
  ...dialects.flatMap(({name, routes}) =>
    routes
      .filter(isPlain)
      .map(({method, path, params, query, body}): Target => ({family: name, method, path, params, query, body})),
  ),
  ...(Object.keys(routes) as OperationName[]).filter(isPlainOperation).map(nativeTarget),
]

test.each([...new Set(targets.map(({family}) => family))])(
  'W6.1-9 M19: %s takes any input without a fault of its own, and says no in its own words',
  {timeout: 900_000},
  async family => {
    const plane = await controlPlane()
    const counts = {taken: 0, refused: 0}
    for (const target of targets.filter(one => one.family === family)) {
      const inputs = [
        ...fc.sample(inputOf(target, fitting), {numRuns: runs, seed}),
        ...fc.sample(inputOf(target, broken), {numRuns: runs, seed: seed + 1}),
      ]
      const replies = await inParallel(inputs, 8, input => send(plane, target, input))
      expect(replies).toHaveLength(2 * runs)
      for (const [index, reply] of replies.entries()) judge(target, inputs[index], reply)
      for (const reply of replies) counts[isRefusal(target, reply) ? 'refused' : 'taken']++
    }
    // What is refused before it is looked at proves nothing.
    expect(counts.taken).toBeGreaterThan(runs)
    expect(counts.refused).toBeGreaterThan(runs)
  },
)

function isPlain({method, path, transport}: DialectRoute): boolean {
  return transport === undefined && !left.includes(`${method} ${path}`)
}

function isPlainOperation(name: OperationName): boolean {
  const {transport = 'json'} = contract[name] as Operation
  return transport === 'json' && !left.includes(name)
}

function nativeTarget(name: OperationName): Target {
  const [method, path] = routes[name].split(' ') as [string, string]
  const {input} = contract[name] as Operation
  const inPath = [...path.matchAll(/:(\w+)/g)].map(match => match[1] as string)
  const {properties = {}, required = []} = JSON.parse(JSON.stringify(input)) as {
    properties?: object
    required?: string[]
  }
  const part = (wanted: (name: string) => boolean) => ({
    type: 'object',
    properties: Object.fromEntries(Object.entries(properties).filter(([member]) => wanted(member))),
    required: required.filter(wanted),
  })
  const rest = part(member => !inPath.includes(member))
  const place = method === 'GET' || method === 'DELETE' ? {query: rest} : {body: rest}
  return {family: 'native', method, path: apiPrefix + path, params: part(member => inPath.includes(member)), ...place}
}

interface Input {
  params: unknown
  query: unknown
  body: unknown
}

function inputOf({params, query, body}: Target, make: typeof fitting): fc.Arbitrary<Input> {
  const part = (schema: unknown) => (schema === undefined ? fc.constant(undefined) : make(schema))
  return fc.record({params: part(params), query: part(query), body: part(body)}) as fc.Arbitrary<Input>
}

function send(plane: ControlPlane, {method, path}: Target, {params, query, body}: Input): Promise<Reply> {
  const values = (params ?? {}) as Record<string, unknown>
  const place = path.replace(/:(\w+)(\([^)]*\))?/g, (_, name: string) => encoded(values[name] ?? 'x'))
  const search = query === undefined ? '' : `?${searchOf(query)}`
  const headers = {'x-token': plane.adminToken}
  return plane.call(method, place + search, {token: plane.adminToken, headers, ...(body === undefined ? {} : {body})})
}

function searchOf(query: unknown): string {
  if (typeof query !== 'object' || query === null) return encoded(query)
  return Object.entries(query)
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .join('&')
}

/** Lone surrogates cannot stand in an address at all. */
function encoded(value: unknown): string {
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/gu, '�').slice(0, 2_000)) || '%20'
}

/** Document 002 says no with status 200, too. */
function isRefusal({family}: Target, {status, json}: Reply): boolean {
  return status >= 400 || (family === 'rental' && typeof json?.code === 'number' && json.code !== 0)
}

/** Faults of others (a node that is not there) may be told with 502, 503 and 504; 500 is a fault of ours. */
function judge({family, method, path}: Target, input: Input | undefined, {status, text, json}: Reply): void {
  const about = `${method} ${path} ${JSON.stringify(input)?.slice(0, 600)} → ${status} ${text.slice(0, 400)} (seed ${seed})`
  expect([500, 501, 505], about).not.toContain(status)
  if (!isRefusal({family, method, path}, {status, text, json} as Reply)) return
  expect(json, about).toBeDefined()
  const judgeEnvelope = envelopes[family]
  expect(judgeEnvelope, `no envelope of ${family} is known here`).toBeDefined()
  judgeEnvelope?.(json)
}
