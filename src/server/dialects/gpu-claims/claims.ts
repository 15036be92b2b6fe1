import type {FastifyRequest} from 'fastify'
import {type Static, Type} from 'typebox'
import type {Claim} from '../../../contract/schemas/claims.ts'
import {problem} from '../../../domain/errors.ts'
import type {Services} from '../../../domain/services/services.ts'
import {route} from '../../dialect.ts'
import {ById, claimToWire, GpuClaim, ListClaims, SubmitClaim} from './wire.ts'

export const claimRoutes = [
  route({
    method: 'POST',
    path: '/api/gpu-claims',
    access: 'user',
    summary: 'Ask for GPUs. The claim is queued.',
    body: SubmitClaim,
    output: GpuClaim,
    status: 202,
    handle: async ({body, asker, services, request}) => {
      const {image, resources} = specOf(body)
      const claim = await services.claims.submit({image, gpus: {count: resources.gpuCount}}, asker)
      return (await onWire([claim], services, request))[0]
    },
  }),
  route({
    method: 'GET',
    path: '/api/gpu-claims',
    access: 'viewer',
    summary: 'List your claims, newest first; an administrator sees those of all.',
    query: ListClaims,
    output: Type.Array(GpuClaim),
    handle: async ({query, asker, services, request}) => {
      const all = asker.role === 'super_admin'
      return onWire(await services.claims.list({...query, all, limit: 1000}, asker), services, request)
    },
  }),
  route({
    method: 'GET',
    path: '/api/gpu-claims/:id',
    access: 'viewer',
    summary: 'One claim, by its id or number.',
    params: ById,
    output: GpuClaim,
    handle: async ({params, asker, services, request}) => {
      const claim = await services.claims.get(params, asker)
      return (await onWire([claim], services, request))[0]
    },
  }),
  route({
    method: 'DELETE',
    path: '/api/gpu-claims/:id',
    access: 'user',
    summary: 'Give the GPUs back; answers the claim as it is then.',
    params: ById,
    output: GpuClaim,
    handle: async ({params, asker, services, request}) => {
      const claim = await services.claims.cancel(params, asker)
      return (await onWire([claim], services, request))[0]
    },
  }),
]

/** Wrapped, as the document has it, or bare. */
function specOf({spec, image, resources}: Static<typeof SubmitClaim>): NonNullable<typeof spec> {
  if (spec) return spec
  if (image !== undefined && resources) return {image, resources}
  const field = image === undefined && !resources ? 'spec' : image === undefined ? 'image' : 'resources'
  const fix = 'Send {"spec": {"image": "…", "resources": {"gpuCount": 1}}}.'
  throw problem('input_invalid', {field, problem: 'is missing', fix})
}

async function onWire(
  claims: readonly Claim[],
  services: Services,
  request: FastifyRequest,
): Promise<Static<typeof GpuClaim>[]> {
  const numbers = await services.users.numbers(claims.map(({ownerId}) => ownerId))
  const baseUrl = `${request.protocol}://${request.host}`
  return claims.map(claim => claimToWire(claim, {userNumber: numbers.get(claim.ownerId) ?? 0, baseUrl}))
}
