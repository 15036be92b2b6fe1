import type {TargetAccess} from '../../contract/storage-protocol.ts'
import {DirectoryTarget} from './directory-target.ts'
import type {BackupTarget} from './target.ts'

/** A new kind of place is a file and a line here. */
export async function openTarget(access: TargetAccess): Promise<BackupTarget> {
  if (access.type === 'directory') return new DirectoryTarget(access.path)
  const {S3Target} = await import('./s3-target.ts')
  return new S3Target(access)
}
