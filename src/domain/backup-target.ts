import type {TargetAccess} from '../contract/storage-protocol.ts'
import {problem} from './errors.ts'
import type {Store} from './ports.ts'
import type {BackupTargetRecord} from './records.ts'
import type {Vault} from './security-ports.ts'

/** The secret of another target does not open here (security T14). */
export function secretContext(targetId: string): string {
  return `backup_targets:${targetId}:secret:1`
}

/** With its secret, for the agent. Throws not_found. */
export async function openTarget({store, vault}: {store: Store; vault: Vault}, id: string): Promise<TargetAccess> {
  const target = await store.backupTargets.find(id)
  if (!target) throw problem('not_found', {kind: 'backup target', name: id})
  if (target.type === 'directory') return {type: 'directory', path: target.path ?? ''}
  const {endpoint, region, bucket, prefix, accessKeyId, sealedSecret} = target
  return {
    type: 's3',
    ...{endpoint: endpoint ?? '', region: region ?? '', bucket: bucket ?? '', prefix, accessKeyId: accessKeyId ?? ''},
    secretAccessKey: await vault.open(sealedSecret, secretContext(id)),
  }
}

/** Where a file of it lies, for people. */
export function pathIn(target: BackupTargetRecord, filename: string): string {
  return target.type === 's3' ? `s3://${target.bucket}/${target.prefix}${filename}` : `${target.path}/${filename}`
}
