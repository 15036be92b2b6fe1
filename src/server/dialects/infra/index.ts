import {bearer} from '../../auth.ts'
import type {Dialect} from '../../dialect.ts'
import {failure} from './failure.ts'
import {imageRoutes} from './images.ts'
import {nodeRoutes} from './nodes.ts'
import {storagePoolRoutes} from './storage-pools.ts'
import {taskRoutes} from './tasks.ts'
import {vmBackupRoutes} from './vm-backups.ts'

/** Document 001: a bearer token, bare JSON, `{error: {code, message, details}}` on failure, tasks for what takes long. */
export const infra: Dialect = {
  name: 'infra',
  owns: path => /^\/api\/agent(\/|$)/.test(path),
  credential: bearer,
  failure,
  routes: [...imageRoutes, ...nodeRoutes, ...storagePoolRoutes, ...vmBackupRoutes, ...taskRoutes],
}
