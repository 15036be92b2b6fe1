import {firstTables} from './0001-first-tables.ts'
import {runtimes} from './0002-runtimes.ts'
import {sitesAndBackups} from './0003-sites-and-backups.ts'
import {partsOfGpus} from './0004-parts-of-gpus.ts'
import {sshKeys} from './0005-ssh-keys.ts'
import {taskTables} from './0006-tasks.ts'
import {poolsAndMounts} from './0007-pools-and-mounts.ts'
import {deletedInstances} from './0008-deleted-instances.ts'
import {sitesOfUsers} from './0009-sites-of-users.ts'
import {siteSchedules} from './0010-site-schedules.ts'
import {backupTargets} from './0011-backup-targets.ts'
import {auditChain} from './0012-audit-chain.ts'
import {ownersOfBackups} from './0013-owners-of-backups.ts'
import {timesOfAllocations} from './0014-times-of-allocations.ts'
import {auditWaiting} from './0015-audit-waiting.ts'
import {applyMarks} from './0016-apply-marks.ts'
import {instanceSnapshots} from './0017-instance-snapshots.ts'
import type {Migration} from './migration.ts'

/** All steps in their order. A released one never changes: what comes later is a new step at the end. */
export const migrations: readonly Migration[] = [
  firstTables,
  runtimes,
  sitesAndBackups,
  partsOfGpus,
  sshKeys,
  taskTables,
  poolsAndMounts,
  deletedInstances,
  sitesOfUsers,
  siteSchedules,
  backupTargets,
  auditChain,
  ownersOfBackups,
  timesOfAllocations,
  auditWaiting,
  applyMarks,
  instanceSnapshots,
]
