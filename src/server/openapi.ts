import {contract} from '../contract/contract.ts'
import {dryRunMember, takesDryRun} from '../contract/dry-run.ts'
import type {Operation} from '../contract/operation.ts'
import {apiPrefix, type OperationName, routes} from '../contract/routes.ts'
import type {Dialect, DialectRoute} from './dialect.ts'

interface Member {
  description?: string
}

const failure = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'hint', 'details', 'requestId'],
      properties: {
        code: {type: 'string', description: 'short and stable; what programs look at'},
        message: {type: 'string'},
        hint: {type: 'string', description: 'what to do next'},
        details: {type: 'object', additionalProperties: true},
        requestId: {type: 'string'},
      },
    },
  },
}

const binary = {type: 'string', format: 'binary'}
const mediaTypes = {
  json: 'application/json',
  events: 'text/event-stream',
  bytes: 'application/vnd.gpuctl.frames',
  upload: 'application/json',
} as const

/**
 * The native API and all dialects as an OpenAPI 3.1 document; each family has its tag. TypeBox schemas are JSON Schema
 * and stand in it as they are.
 */
export function openApi(version: string, dialects: readonly Dialect[]): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const name of Object.keys(routes) as OperationName[]) {
    const [method, path] = routes[name].split(' ') as [string, string]
    const place = `${apiPrefix}${path.replace(/:(\w+)/g, '{$1}')}`
    paths[place] = {...paths[place], [method.toLowerCase()]: described(name, method, path)}
  }
  for (const dialect of dialects) addDialect(paths, dialect)
  return {
    openapi: '3.1.0',
    info: {title: 'gpuctl', version, license: {name: 'MIT', identifier: 'MIT'}},
    servers: [{url: '/'}],
    paths,
    components: {
      schemas: {Failure: failure},
      responses: {
        Failure: {
          description: 'What went wrong, and what to do next.',
          content: {'application/json': {schema: {$ref: '#/components/schemas/Failure'}}},
        },
      },
      securitySchemes: {
        bearer: {type: 'http', scheme: 'bearer', description: 'token of a login, or an API token'},
        nodeKey: {type: 'http', scheme: 'bearer', description: 'key of a node'},
      },
    },
  }
}

function described(name: OperationName, method: string, path: string): Record<string, unknown> {
  const operation: Operation = contract[name]
  const {summary, access, input, output, status = 200, transport = 'json', idempotent, markable} = operation
  const {properties: own = {}, required = []} = input as {properties?: Record<string, Member>; required?: string[]}
  const properties = takesDryRun(name, operation) ? {dryRun: dryRunMember, ...own} : own
  const inPath = [...path.matchAll(/:(\w+)/g)].map(match => match[1] as string)
  const others = Object.entries(properties).filter(([member]) => !inPath.includes(member))
  const isUpload = transport === 'upload'
  const bodyless = isUpload || method === 'GET' || method === 'DELETE'
  const parameter =
    (place: string) =>
    ([member, schema]: [string, unknown]) => ({
      name: member,
      in: place,
      required: place === 'path' || required.includes(member),
      schema,
    })
  const body = {
    type: 'object',
    properties: Object.fromEntries(others),
    required: required.filter(member => !inPath.includes(member)),
    additionalProperties: false,
  }
  const key = {name: 'Idempotency-Key', in: 'header', required: false, schema: {type: 'string', maxLength: 128}}
  const set = {name: 'X-Gpuctl-Apply-Set', in: 'header', required: false, schema: {type: 'string', maxLength: 63}}
  return {
    operationId: name,
    summary,
    tags: [name.split('.', 1)[0]],
    'x-gpuctl-access': access,
    security: access === 'public' ? [] : [{[access === 'node' ? 'nodeKey' : 'bearer']: []}],
    parameters: [
      ...inPath.map(member => parameter('path')([member, properties[member] ?? {type: 'string'}])),
      ...(bodyless ? others.map(parameter('query')) : []),
      ...(idempotent ? [key] : []),
      ...(markable ? [set] : []),
    ],
    ...(isUpload ? {requestBody: {required: true, content: {'application/octet-stream': {schema: binary}}}} : {}),
    ...(bodyless || others.length === 0
      ? {}
      : {requestBody: {required: body.required.length > 0, content: {'application/json': {schema: body}}}}),
    responses: {
      ...(transport === 'socket'
        ? {101: {description: 'A WebSocket of frames.'}}
        : {
            [status]: {
              description: summary,
              content: {[mediaTypes[transport]]: {schema: contentOf(transport, output)}},
            },
          }),
      default: {$ref: '#/components/responses/Failure'},
    },
  }
}

function contentOf(transport: 'json' | 'events' | 'bytes' | 'upload', output: unknown): unknown {
  if (transport === 'json' || transport === 'upload') return output
  if (transport === 'bytes') return binary
  return {type: 'string', contentMediaType: 'application/json', contentSchema: output}
}

/** Every path of the family's routes, further forms too, as its document spells it: whoever looks for one finds it. */
function addDialect(paths: Record<string, Record<string, unknown>>, dialect: Dialect): void {
  for (const route of dialect.routes) {
    for (const path of route.spelled ?? [route.path, ...(route.also ?? [])]) {
      const place = path.replace(/:(\w+)(\([^)]*\))?/g, '{$1}')
      paths[place] = {...paths[place], [route.method.toLowerCase()]: describedRoute(dialect.name, route, place)}
    }
  }
}

function describedRoute(family: string, route: DialectRoute, place: string): Record<string, unknown> {
  const {method, access, summary, params, query, body, output = {}, status = 200, transport} = route
  const parameters = (schema: unknown, where: 'path' | 'query') => {
    const {properties = {}, required = []} = (schema ?? {}) as {properties?: object; required?: string[]}
    return Object.entries(properties)
      .filter(([name]) => where === 'query' || place.includes(`{${name}}`))
      .map(([name, one]) => ({name, in: where, required: where === 'path' || required.includes(name), schema: one}))
  }
  const named = new Set(Object.keys((params as {properties?: object})?.properties ?? {}))
  const others = [...place.matchAll(/\{(\w+)\}/g)].map(match => match[1] as string).filter(name => !named.has(name))
  const content = {[transport === 'events' ? 'text/event-stream' : 'application/json']: {schema: output}}
  return {
    operationId: `${family}.${method.toLowerCase()}${place.replace(/[{}]/g, '').replace(/\/+/g, '.')}`,
    summary,
    tags: [family],
    'x-gpuctl-access': access,
    security: access === 'public' ? [] : [{[access === 'node' ? 'nodeKey' : 'bearer']: []}],
    parameters: [
      ...parameters(params, 'path'),
      ...others.map(name => ({name, in: 'path', required: true, schema: {type: 'string'}})),
      ...parameters(query, 'query'),
    ],
    ...(body ? {requestBody: {content: {'application/json': {schema: body}}}} : {}),
    responses: {
      [transport === 'socket' ? 101 : status]: {description: summary, ...(transport === 'socket' ? {} : {content})},
      default: {description: 'What went wrong, in the words of the family.'},
    },
  }
}
