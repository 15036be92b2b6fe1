import {bearer} from '../../auth.ts'
import type {Dialect} from '../../dialect.ts'
import {entryRoutes} from './entry.ts'
import {failure} from './failure.ts'
import {joiningRoutes} from './joining.ts'
import {nodeRoutes} from './nodes.ts'
import {streamRoutes} from './streams.ts'

/** Document 003: bearer tokens, bare JSON, `{detail}` on failure, statistics as event streams. */
export const fleet: Dialect = {
  name: 'fleet',
  owns: path => /^\/api\/v1\/(nodes|metrics|auth|stats|sites)(\/|$)/.test(path),
  credential: bearer,
  failure,
  routes: [...joiningRoutes, ...nodeRoutes, ...entryRoutes, ...streamRoutes],
}
