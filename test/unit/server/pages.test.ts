import {Counter, Registry} from 'prom-client'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {contract} from '../../../src/contract/contract.ts'
import {takesDryRun} from '../../../src/contract/dry-run.ts'
import type {Operation} from '../../../src/contract/operation.ts'
import {apiPrefix, type OperationName, routes} from '../../../src/contract/routes.ts'
import {dialects} from '../../../src/server/dialects/registry.ts'
import {eventually} from '../../support/wait.ts'
import {startWorld, tokens, type World} from './fixture.ts'

interface Described {
  operationId: string
  parameters: {in: string; name: string}[]
  requestBody?: {content: {'application/json': {schema: {properties?: object}}}}
  responses: object
  security: unknown[]
}

let world: World
beforeAll(async () => {
  const metricsRegistry = new Registry()
  new Counter({name: 'gpuctl_claims_total', help: 'x', registers: [metricsRegistry]})
  world = await startWorld({metricsRegistry})
})
afterAll(() => world.stop())

test('the OpenAPI document describes every operation, each with its parameters, body and answers', async () => {
  const {json: document, status} = await world.call('/openapi.json')

  expect([status, document.openapi, document.info.version]).toEqual([200, '3.1.0', '1.2.3'])
  const seen = new Set<string>()
  for (const [path, methods] of Object.entries<Record<string, Described>>(document.paths)) {
    for (const [method, described] of Object.entries(methods)) {
      const {operationId, parameters, requestBody, responses, security} = described
      expect(seen).not.toContain(operationId)
      seen.add(operationId)
      if (!path.startsWith(apiPrefix)) continue
      const operation: Operation = contract[operationId as OperationName]
      expect(`${method.toUpperCase()} ${path.slice(apiPrefix.length).replace(/\{(\w+)\}/g, ':$1')}`).toBe(
        routes[operationId as OperationName],
      )
      const inPath = parameters.filter(one => one.in === 'path').map(one => one.name)
      expect(inPath).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(match => match[1]))
      const members = [
        ...parameters.filter(one => one.in !== 'header').map(one => one.name),
        ...Object.keys(requestBody?.content['application/json']?.schema.properties ?? {}),
      ]
      const own = Object.keys((operation.input as {properties?: object}).properties ?? {})
      const tried = takesDryRun(operationId as OperationName, operation) ? ['dryRun'] : []
      expect(members.sort()).toEqual([...new Set([...own, ...tried])].sort())
      expect(Object.keys(responses).length).toBe(2)
      expect(security.length).toBe(operation.access === 'public' ? 0 : 1)
    }
  }
  expect([...seen]).toEqual(expect.arrayContaining(Object.keys(routes)))
})

test('the OpenAPI document describes every path of every dialect, and whom it takes', async () => {
  const {json: document} = await world.call('/openapi.json')

  for (const {name, routes: own} of dialects) {
    expect(own.length).toBeGreaterThan(0)
    for (const {method, path, also = [], spelled = [path, ...also], access} of own) {
      for (const one of spelled) {
        const place = one.replace(/:(\w+)(\([^)]*\))?/g, '{$1}')
        const described = document.paths[place]?.[method.toLowerCase()]
        expect(described, `${method} ${one}`).toMatchObject({tags: [name], 'x-gpuctl-access': access})
        const inPath = described.parameters.filter((part: {in: string}) => part.in === 'path')
        expect(inPath).toHaveLength([...place.matchAll(/\{/g)].length)
      }
    }
  }
})

test('every reference in the document leads somewhere', async () => {
  const {json, text} = await world.call('/openapi.json')
  const references = [...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(match => match[1] as string)

  expect(references.length).toBeGreaterThan(0)
  for (const reference of new Set(references)) {
    expect(reference.split('/').reduce((found, step) => found?.[step], json)).toBeDefined()
  }
})

test('the Swagger pages come whole from this server', async () => {
  for (const other of ['/swagger', '/swagger/index.html'])
    expect((await world.call(other)).headers.location).toBe('/swagger/')
  const page = await world.call('/swagger/')
  const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(match => match[1] as string)

  expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
  expect(page.headers['content-security-policy']).toContain("default-src 'self'")
  expect(page.headers['x-content-type-options']).toBe('nosniff')
  expect(parts.length).toBeGreaterThan(3)
  for (const part of parts) {
    const {pathname, host} = new URL(part, 'http://own/swagger/')
    expect([host, pathname, (await world.call(pathname)).status]).toEqual(['own', pathname, 200])
  }
  // What the page fetches: `json` beside itself.
  expect((await world.call('/swagger/json')).json.info.title).toBe('gpuctl')
})

test('healthz says ok to anybody', async () => {
  expect((await world.call('/healthz')).json).toEqual({status: 'ok'})
})

test('the figures of the server and of the rest of the program are at /metrics', async () => {
  await world.call('/nothing')

  const {text} = await eventually(async () => {
    const reply = await world.call('/metrics')
    return reply.text.includes('gpuctl_http_requests_total{status="404"}') && reply
  })
  expect(text).toContain('gpuctl_open_streams 0')
  expect(text).toContain('gpuctl_claims_total 0')
  expect(text).toContain('process_resident_memory_bytes')
})

test('answers carry the headers that browsers need to be careful', async () => {
  const {headers} = await world.call(`${apiPrefix}/tokens`, {token: tokens.viewer})

  expect(headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  })
})

test('T8: the access log tells who asked what, and keeps no value of a query that could be a secret', async () => {
  await world.call(`${apiPrefix}/claims?limit=3&name=canary-1&token=canary-2`, {token: tokens.user})

  const line = await eventually(() => world.log.find(one => one.includes('/claims?limit=3')))
  expect(JSON.parse(line)).toMatchObject({
    method: 'GET',
    path: `${apiPrefix}/claims?limit=3&name=…&token=…`,
    status: 400,
    user: 'user',
    address: '127.0.0.1',
  })
  expect(world.log.join('')).not.toMatch(/canary|user-token/)
})
