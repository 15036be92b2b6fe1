import type {FastifyRequest} from 'fastify'
import {bearer} from '../../auth.ts'
import type {Dialect} from '../../dialect.ts'
import {baseRoutes} from './base.ts'
import {failure} from './failure.ts'
import {imageRoutes} from './images.ts'
import {productRoutes} from './products.ts'
import {terminalRoutes} from './terminal.ts'

const own = /^(\/api\/v1)?\/(base|imageregistry|computenode|product|productspec|instance|swagger|health)(\/|$)/

/** Document 002: header `x-token`, `{code, data, msg}`, paths in whatever case, at the root and below /api/v1. */
export const rental: Dialect = {
  name: 'rental',
  owns: path => own.test(path) && !path.startsWith('/swagger'),
  caseless: true,
  credential: xToken,
  failure,
  routes: [...baseRoutes, ...imageRoutes, ...productRoutes, ...terminalRoutes],
}

function xToken(request: FastifyRequest): string | undefined {
  const given = request.headers['x-token']
  return typeof given === 'string' && given !== '' ? given : bearer(request)
}
