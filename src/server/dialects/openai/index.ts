import type {FastifyRequest} from 'fastify'
import {Type} from 'typebox'
import type {Model} from '../../../contract/schemas/models.ts'
import {hasScope} from '../../../domain/caller.ts'
import {problem} from '../../../domain/errors.ts'
import type {InferencePath} from '../../../domain/inference.ts'
import type {Services} from '../../../domain/services/services.ts'
import {addressOf, bearer} from '../../auth.ts'
import {type Dialect, type DialectRoute, route} from '../../dialect.ts'
import {passOn} from './answer.ts'
import {takeBodies} from './body.ts'
import {ModelCall, ModelList, modelToWire, openAiFailure, WireModel} from './wire.ts'

const jsonBytes = 8 * 1024 * 1024
const formBytes = 32 * 1024 * 1024

/** What each path does, and how much it takes. */
const calls: Record<InferencePath, {summary: string; bodyLimitBytes: number}> = {
  '/v1/chat/completions': {summary: 'Continue a conversation.', bodyLimitBytes: jsonBytes},
  '/v1/completions': {summary: 'Continue a text.', bodyLimitBytes: jsonBytes},
  '/v1/embeddings': {summary: 'Turn texts into vectors.', bodyLimitBytes: jsonBytes},
  '/v1/responses': {summary: 'Make a response.', bodyLimitBytes: jsonBytes},
  '/v1/audio/transcriptions': {summary: 'Turn speech into text.', bodyLimitBytes: formBytes},
  '/v1/audio/speech': {summary: 'Turn text into speech.', bodyLimitBytes: jsonBytes},
  '/v1/images/generations': {summary: 'Make images.', bodyLimitBytes: jsonBytes},
  '/v1/images/edits': {summary: 'Change an image.', bodyLimitBytes: formBytes},
  '/v1/images/variations': {summary: 'Vary an image.', bodyLimitBytes: formBytes},
}

/** The OpenAI-compatible API over all runtimes (wire.md 1.6): keys as Bearer or X-API-Key, OpenAI's envelope. */
export const openAi: Dialect = {
  name: 'openai',
  owns: path => path === '/v1' || path.startsWith('/v1/'),
  credential: keyOf,
  failure: openAiFailure,
  prepare: takeBodies,
  routes: [
    ...Object.entries(calls).map(([path, described]) => callRoute(path as InferencePath, described)),
    route({
      method: 'GET',
      path: '/v1/models',
      access: 'public',
      summary: 'Models that runtimes hold. For users, their keys, and runtimes (X-Node-Token).',
      output: ModelList,
      handle: async ({request, services}) => ({
        object: 'list',
        data: (await modelsFor(request, services)).map(modelToWire),
      }),
    }),
    route({
      method: 'GET',
      path: '/v1/models/:id',
      // Names of published models have a slash, which callers do not always encode.
      also: ['/v1/models/:owner/:id'],
      access: 'public',
      summary: 'One model.',
      params: Type.Object({id: Type.String({maxLength: 256}), owner: Type.Optional(Type.String({maxLength: 256}))}),
      output: WireModel,
      handle: async ({params: {id, owner}, request, services}) => {
        const name = owner === undefined ? id : `${owner}/${id}`
        const found = (await modelsFor(request, services)).find(model => model.id === name)
        if (!found) throw problem('model_unknown', {model: name})
        return modelToWire(found)
      },
    }),
  ],
}

function callRoute(path: InferencePath, described: {summary: string; bodyLimitBytes: number}): DialectRoute {
  return route({
    method: 'POST',
    path,
    access: 'user',
    scope: 'inference',
    ...described,
    body: ModelCall,
    // What the runtime says, as it says it.
    output: Type.Unknown(),
    handle: ({body, asker, request, reply, sources}) =>
      passOn(sources.inference, path, {request, reply, caller: asker, model: body.model}),
  })
}

/** Whoever may call models may list them, and so may a runtime. Throws login_required, token_*, scope_missing. */
async function modelsFor(request: FastifyRequest, services: Services): Promise<Model[]> {
  const token = request.headers['x-node-token']
  if (typeof token === 'string') await services.runtimes.authenticate(token)
  else await checkReader(request, services)
  return services.models.every()
}

async function checkReader(request: FastifyRequest, services: Services): Promise<void> {
  const key = keyOf(request)
  if (!key) throw problem('login_required', {})
  const found = await services.auth.authenticate(key, {address: addressOf(request), requestId: request.id})
  if (!hasScope(found, 'inference') && !hasScope(found, 'read')) throw problem('scope_missing', {needed: 'inference'})
}

function keyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['x-api-key']
  return bearer(request) ?? (typeof key === 'string' ? key : undefined)
}
