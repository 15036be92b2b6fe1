import type {FastifyRequest} from 'fastify'
import {bearer} from '../../auth.ts'
import type {Dialect} from '../../dialect.ts'
import {baseRoutes} from './base.ts'
import {failure} from './failure.ts'
import {imageRoutes} from './images.ts'
import {instanceRoutes} from './instances.ts'
import {matchingRoutes} from './matching.ts'
import {nodeRoutes} from './nodes.ts'
import {productRoutes} from './products.ts'
import {readingRoutes} from './readings.ts'
import {sshRoutes} from './ssh.ts'
import {terminalRoutes} from './terminal.ts'

const own =
  /^(\/api\/v1)?\/(base|imageregistry|computenode|product|productspec|instance|health)(\/|$)|^\/api\/v1\/swagger/

/** Document 002: header `x-token`, `{code, data, msg}`, paths in whatever case, at the root and below /api/v1. */
export const rental: Dialect = {
  name: 'rental',
  owns: path => own.test(path),
  caseless: true,
  credential: xToken,
  failure,
  routes: [
    ...baseRoutes,
    ...imageRoutes,
    ...nodeRoutes,
    ...productRoutes,
    ...instanceRoutes,
    ...matchingRoutes,
    ...readingRoutes,
    ...sshRoutes,
    ...terminalRoutes,
  ],
}

function xToken(request: FastifyRequest): string | undefined {
  const given = request.headers['x-token']
  return typeof given === 'string' && given !== '' ? given : bearer(request)
}
