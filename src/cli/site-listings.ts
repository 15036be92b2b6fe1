import type {AssignedNode} from '../contract/schemas/auth.ts'
import type {BackupTarget} from '../contract/schemas/backups.ts'
import type {Backup, QuotaStatus, Site, Snapshot} from '../contract/schemas/sites.ts'
import type {VmBackup} from '../contract/schemas/vm-backups.ts'
import {usageError} from './failure.ts'
import type {Column} from './output/column.ts'
import {ago, bytes, percent} from './output/figures.ts'
import {readMemoryMiB} from './units.ts'

export const siteColumns: Column<Site>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'node', value: ({node}) => node},
  {name: 'status', value: ({status}) => status},
  {name: 'used', value: ({usedBytes}) => usedBytes, unit: 'bytes', shown: ({usedBytes}) => bytes(usedBytes)},
  {name: 'quota', value: ({quotaBytes}) => quotaBytes, unit: 'bytes', shown: ({quotaBytes}) => bytes(quotaBytes)},
  {name: 'owner', value: ({owner}) => owner},
  {name: 'last backup', value: ({lastBackupAt}) => lastBackupAt, shown: ({lastBackupAt}) => ago(lastBackupAt)},
  {name: 'schedule', value: ({scheduleFrequency}) => scheduleFrequency, wide: true},
  {name: 'pool', value: ({pool}) => pool, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const snapshotColumns: Column<Snapshot>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'taken', value: ({createdAt}) => createdAt, shown: ({createdAt}) => ago(createdAt)},
  {name: 'alone', value: ({usedBytes}) => usedBytes, unit: 'bytes', shown: ({usedBytes}) => bytes(usedBytes)},
]

export const siteUseColumns: Column<QuotaStatus['sites'][number]>[] = [
  {name: 'site', value: ({name}) => name},
  {name: 'used', value: ({usedBytes}) => usedBytes, unit: 'bytes', shown: ({usedBytes}) => bytes(usedBytes)},
  {name: 'quota', value: ({quotaBytes}) => quotaBytes, unit: 'bytes', shown: ({quotaBytes}) => bytes(quotaBytes)},
  {name: 'use', value: ({usagePercent}) => usagePercent, shown: ({usagePercent}) => percent(usagePercent)},
  {name: 'over', value: ({isOverQuota}) => isOverQuota, shown: ({isOverQuota}) => (isOverQuota ? 'over' : '')},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const backupColumns: Column<Backup>[] = [
  {name: 'filename', value: ({filename}) => filename},
  {name: 'number', value: ({number}) => number},
  {name: 'site', value: ({site}) => site},
  {name: 'node', value: ({node}) => node, shown: madeOn},
  {name: 'type', value: ({type}) => type},
  {name: 'status', value: ({status}) => status},
  {name: 'size', value: ({sizeBytes}) => sizeBytes, unit: 'bytes', shown: ({sizeBytes}) => bytes(sizeBytes)},
  {name: 'taken', value: ({takenAt}) => takenAt, shown: ({takenAt}) => ago(takenAt)},
  {name: 'path', value: ({path}) => path, wide: true},
  {name: 'provider', value: ({provider}) => provider, wide: true},
  {name: 'checksum', value: ({checksum}) => checksum, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const vmBackupColumns: Column<VmBackup>[] = [
  {name: 'archive', value: ({archive}) => archive},
  {name: 'vm', value: ({vm}) => vm},
  {name: 'size', value: ({sizeBytes}) => sizeBytes, unit: 'bytes', shown: ({sizeBytes}) => bytes(sizeBytes)},
  {name: 'node', value: ({node}) => node},
]

/** The node that made it, and whether it is gone. */
export function madeOn({node, isNodeGone}: Pick<Backup, 'node' | 'isNodeGone'>): string {
  return isNodeGone ? `${node} (gone)`.trim() : node
}

export const assignedColumns: Column<AssignedNode>[] = [
  {name: 'node', value: ({name}) => name},
  {name: 'id', value: ({id}) => id, wide: true},
]

/** `200`, `200GB`, `2TiB`: whole GB of 2^30 bytes. */
export function readGigabytes(text: string, what: string): number {
  const gigabytes = /^\d+$/.test(text.trim()) ? Number(text) : readMemoryMiB(text, what) / 1024
  if (Number.isInteger(gigabytes)) return gigabytes
  throw usageError(`${what}: ${text} is not a whole number of GB.`, 'Write it as 200GB or 2TB.')
}

export const backupTargetColumns: Column<BackupTarget>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'type', value: ({type}) => type},
  {name: 'place', value: ({path, bucket, prefix}) => path ?? `s3://${bucket}/${prefix}`},
  {name: 'endpoint', value: ({endpoint}) => endpoint},
  {name: 'key', value: ({accessKeyId}) => accessKeyId, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]
