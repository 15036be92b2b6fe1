import type {FastifyRequest} from 'fastify'
import {type Static, Type} from 'typebox'
import {hasScope} from '../../../domain/caller.ts'
import {problem} from '../../../domain/errors.ts'
import type {Services} from '../../../domain/services/services.ts'
import {addressOf, bearer, isLocalCall} from '../../auth.ts'
import {type Dialect, route} from '../../dialect.ts'
import {accountRoutes} from './accounts.ts'
import {dashboardRoute} from './dashboard.ts'
import {failure} from './failure.ts'
import {figureRoutes} from './figures.ts'
import {beatOf, Health, Node, nodeToWire, Registered, Registration, registeredToWire, registrationOf} from './wire.ts'

const ById = Type.Object({id: Type.String({minLength: 1, maxLength: 64})})
const Settings = Type.Object({
  custom_name: Type.Optional(Type.Union([Type.String({minLength: 1, maxLength: 128}), Type.Null()])),
  tags: Type.Optional(
    Type.Union([Type.Array(Type.String({minLength: 1, maxLength: 64}), {maxItems: 64}), Type.Null()]),
  ),
  notes: Type.Optional(Type.Union([Type.String({maxLength: 4096}), Type.Null()])),
})

/** Our API tokens also stand where this family has its user keys. */
export function credentialOf(request: FastifyRequest): string | undefined {
  const key = request.headers['x-api-key']
  return bearer(request) ?? (typeof key === 'string' && key !== '' ? key : undefined)
}

/** Document 000: inference runtimes register themselves, are approved, and beat. */
export const llmRouter: Dialect = {
  name: 'llm-router',
  owns: path => /^\/(v0(\/|$)|ws\/dashboard$)/.test(path),
  credential: credentialOf,
  failure,
  routes: [
    route({
      method: 'POST',
      path: '/v0/nodes',
      access: 'public',
      summary: 'Register a runtime; off this machine with a join token or a node key.',
      body: Registration,
      output: Registered,
      handle: async ({body, asker, services, request, reply}) => {
        const caller = {...asker, isLocal: isLocalCall(request), credential: credentialOf(request)}
        const {runtime, token, isNew} = await services.runtimes.register(registrationOf(body), caller)
        if (isNew) reply.code(201)
        return registeredToWire(runtime, token, isNew)
      },
    }),
    route({
      method: 'GET',
      path: '/v0/nodes',
      access: 'public',
      summary: 'All runtimes, oldest registration first; off this machine for signed-in users.',
      output: Type.Array(Node),
      handle: async ({services, request}) => (await listFor(request, services)).map(nodeToWire),
    }),
    route({
      method: 'POST',
      path: '/v0/nodes/:id/approve',
      access: 'super_admin',
      summary: 'Let a waiting runtime be asked.',
      params: ById,
      output: Node,
      handle: async ({params, asker, services}) => nodeToWire(await services.runtimes.approve(params, asker)),
    }),
    route({
      method: 'GET',
      path: '/v0/nodes/:id/approve',
      access: 'super_admin',
      summary: 'The same, as the document’s own curl line sends it.',
      // What changes something by GET takes no credential that a page could make a browser send (T24).
      credential: bearer,
      changes: true,
      params: ById,
      output: Node,
      handle: async ({params, asker, services}) => nodeToWire(await services.runtimes.approve(params, asker)),
    }),
    route({
      method: 'POST',
      path: '/v0/health',
      access: 'public',
      summary: 'A runtime’s beat; its token stands in X-Node-Token.',
      body: Health,
      output: Type.Null(),
      wants: 'x-node-token',
      handle: async ({body, services, request}) => {
        await services.runtimes.beat(String(request.headers['x-node-token']), readId(body), beatOf(body))
        return null
      },
    }),
    route({
      method: 'DELETE',
      path: '/v0/nodes/:id',
      access: 'super_admin',
      summary: 'Forget a runtime.',
      params: ById,
      status: 204,
      handle: async ({params, asker, services}) => {
        await services.runtimes.delete(params, asker)
      },
    }),
    route({
      method: 'POST',
      path: '/v0/nodes/:id/disconnect',
      access: 'super_admin',
      summary: 'Take a runtime for offline until its next beat.',
      params: ById,
      status: 202,
      output: Node,
      handle: async ({params, asker, services}) => nodeToWire(await services.runtimes.disconnect(params, asker)),
    }),
    route({
      method: 'PUT',
      path: '/v0/nodes/:id/settings',
      access: 'super_admin',
      summary: 'Change name, tags and notes; null takes them back.',
      params: ById,
      body: Settings,
      output: Node,
      handle: async ({params, body, asker, services}) =>
        nodeToWire(await services.runtimes.update({...params, ...changesOf(body)}, asker)),
    }),
    route({
      method: 'GET',
      path: '/v0/nodes/:id/logs',
      access: 'super_admin',
      summary: 'The last lines of the runtime’s own log, as it tells them.',
      params: ById,
      query: Type.Object({limit: Type.Optional(Type.Integer({minimum: 1, maximum: 1000}))}),
      handle: ({params: {id}, query: {limit = 200}, services}) => services.runtimes.logs({id, tail: limit}),
    }),
    ...accountRoutes,
    ...figureRoutes,
    dashboardRoute,
  ],
}

/** Anybody on this machine, as the document has it; elsewhere who is signed in (T25). */
async function listFor(request: FastifyRequest, services: Services) {
  const credential = credentialOf(request)
  if (!isLocalCall(request)) {
    if (!credential) throw problem('login_required', {})
    const reader = await services.auth.authenticate(credential, {address: addressOf(request), requestId: request.id})
    if (!hasScope(reader, 'read')) throw problem('scope_missing', {needed: 'read'})
  }
  return services.runtimes.list({})
}

function readId({runtime_id: one, node_id: other}: Static<typeof Health>): string {
  const fix = 'Give runtime_id (or node_id), as the registration answered it.'
  if (one !== undefined && other !== undefined && one !== other)
    throw problem('input_invalid', {field: 'node_id', problem: 'is another one than runtime_id.', fix})
  const id = one ?? other
  if (id === undefined) throw problem('input_invalid', {field: 'runtime_id', problem: 'is missing.', fix})
  return id
}

function changesOf({custom_name: customName, tags, notes}: Static<typeof Settings>) {
  return {
    ...(customName === undefined ? {} : {customName}),
    ...(tags === undefined ? {} : {tags: tags ?? []}),
    ...(notes === undefined ? {} : {notes}),
  }
}
