import {bearer} from '../../auth.ts'
import type {Dialect} from '../../dialect.ts'
import {httpStatus, inOneText} from '../../errors.ts'
import {accountRoutes} from './accounts.ts'
import {claimRoutes} from './claims.ts'
import {nodeRoutes} from './nodes.ts'

const paths = /^\/api\/(auth|nodes|gpu-claims|admin)(\/|$)/

/** Document 004: a bearer token, bare JSON, `{error}` on failure. */
export const gpuClaims: Dialect = {
  name: 'gpu-claims',
  owns: path => paths.test(path),
  credential: bearer,
  failure: ({kind, message, hint}) => {
    const text = kind === 'invalid' ? inOneText(message, hint) : message
    return {status: httpStatus[kind], body: {error: text}}
  },
  routes: [...accountRoutes, ...nodeRoutes, ...claimRoutes],
}
