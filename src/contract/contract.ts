import type {Input, Operation, Output} from './operation.ts'
import type {OperationName} from './routes.ts'
import {applied} from './schemas/applied.ts'
import {audit} from './schemas/audit.ts'
import {auth} from './schemas/auth.ts'
import {backups} from './schemas/backups.ts'
import {catalogue} from './schemas/catalogue.ts'
import {claims} from './schemas/claims.ts'
import {instanceSnapshots} from './schemas/instance-snapshots.ts'
import {instances} from './schemas/instances.ts'
import {keys} from './schemas/keys.ts'
import {members} from './schemas/members.ts'
import {models} from './schemas/models.ts'
import {nodes} from './schemas/nodes.ts'
import {osImages} from './schemas/os-images.ts'
import {quotas} from './schemas/quotas.ts'
import {runtimes} from './schemas/runtimes.ts'
import {server} from './schemas/server.ts'
import {sessions} from './schemas/sessions.ts'
import {settings} from './schemas/settings.ts'
import {sites} from './schemas/sites.ts'
import {storage} from './schemas/storage.ts'
import {tasks} from './schemas/tasks.ts'
import {usage} from './schemas/usage.ts'
import {vmBackups} from './schemas/vm-backups.ts'

/** All operations with their schemas. A route without an operation, or the reverse, does not compile. */
export const contract = {
  ...auth,
  ...audit,
  ...quotas,
  ...usage,
  ...settings,
  ...nodes,
  ...runtimes,
  ...claims,
  ...instances,
  ...instanceSnapshots,
  ...models,
  ...catalogue,
  ...applied,
  ...server,
  ...sites,
  ...backups,
  ...vmBackups,
  ...storage,
  ...tasks,
  ...osImages,
  ...members,
  ...keys,
  ...sessions,
} satisfies Record<OperationName, Operation>

export type Contract = typeof contract
export type InputOf<N extends OperationName> = Input<Contract[N]>
export type OutputOf<N extends OperationName> = Output<Contract[N]>
