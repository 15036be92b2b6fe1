import type {Tables} from '../domain/ports.ts'
import {allocationTable} from './allocations.ts'
import {applyMarkTable} from './apply-marks.ts'
import {auditTable} from './audit.ts'
import {backupTargetTable} from './backup-targets.ts'
import {imageTable, specTable} from './catalogue.ts'
import {claimTable} from './claims.ts'
import {eventTable} from './events.ts'
import {instanceSnapshotTable} from './instance-snapshots.ts'
import {instanceTable} from './instances.ts'
import {nodeAdminTable} from './node-admins.ts'
import {nodeTable} from './nodes.ts'
import {mountTable, poolTable} from './pools.ts'
import {runtimeTable} from './runtimes.ts'
import {idempotencyTable, settingTable} from './settings.ts'
import {backupTable, siteTable} from './sites.ts'
import type {Sql} from './sql.ts'
import {sshKeyTable} from './ssh-keys.ts'
import {taskTable} from './tasks.ts'
import {joinTokenTable, tokenTable} from './tokens.ts'
import {userTable} from './users.ts'
import {volumeTable} from './volumes.ts'

const makers: {readonly [N in keyof Tables]: (sql: Sql) => Tables[N]} = {
  users: userTable,
  tokens: tokenTable,
  joinTokens: joinTokenTable,
  sshKeys: sshKeyTable,
  nodes: nodeTable,
  runtimes: runtimeTable,
  claims: claimTable,
  instances: instanceTable,
  allocations: allocationTable,
  volumes: volumeTable,
  instanceSnapshots: instanceSnapshotTable,
  images: imageTable,
  specs: specTable,
  nodeAdmins: nodeAdminTable,
  sites: siteTable,
  backups: backupTable,
  events: eventTable,
  audit: auditTable,
  idempotency: idempotencyTable,
  settings: settingTable,
  tasks: taskTable,
  pools: poolTable,
  mounts: mountTable,
  backupTargets: backupTargetTable,
  applyMarks: applyMarkTable,
}

/** All tables over one connection. */
export function tablesOver(sql: Sql): Tables {
  return Object.fromEntries(Object.entries(makers).map(([name, make]) => [name, make(sql)])) as unknown as Tables
}

/** The same over one transaction, each made when it is first used: there are thousands of transactions a second. */
export function tablesWhenUsed(sql: Sql, onUse?: (name: string) => void): Tables {
  const made: Record<string, unknown> = {}
  const get = (_: Tables, name: string) => {
    onUse?.(name)
    made[name] ??= makers[name as keyof Tables]?.(sql)
    return made[name]
  }
  return new Proxy({} as Tables, {get: get as ProxyHandler<Tables>['get']})
}
