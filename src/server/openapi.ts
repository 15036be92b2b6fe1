import {contract} from '../contract/contract.ts'
import type {Operation} from '../contract/operation.ts'
import {apiPrefix, type OperationName, routes} from '../contract/routes.ts'

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

const mediaTypes = {
  json: 'application/json',
  events: 'text/event-stream',
  bytes: 'application/vnd.gpuctl.frames',
} as const

/** The native API as an OpenAPI 3.1 document. TypeBox schemas are JSON Schema and stand in it as they are. */
export function openApi(version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const name of Object.keys(routes) as OperationName[]) {
    const [method, path] = routes[name].split(' ') as [string, string]
    const place = `${apiPrefix}${path.replace(/:(\w+)/g, '{$1}')}`
    paths[place] = {...paths[place], [method.toLowerCase()]: described(name, method, path)}
  }
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
  const {summary, access, input, output, status = 200, transport = 'json', idempotent}: Operation = contract[name]
  const {properties = {}, required = []} = input as {properties?: Record<string, Member>; required?: string[]}
  const inPath = [...path.matchAll(/:(\w+)/g)].map(match => match[1] as string)
  const others = Object.entries(properties).filter(([member]) => !inPath.includes(member))
  const bodyless = method === 'GET' || method === 'DELETE'
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
    ],
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

function contentOf(transport: 'json' | 'events' | 'bytes', output: unknown): unknown {
  if (transport === 'json') return output
  if (transport === 'bytes') return {type: 'string', format: 'binary'}
  return {type: 'string', contentMediaType: 'application/json', contentSchema: output}
}
