import type {BackupPart} from '../../contract/storage-protocol.ts'
import {StorageError} from '../driver.ts'
import {openTarget} from './targets.ts'

/** Bytes of a finished backup. That it is not there, or out of reach, is thrown before the first one. */
export async function readPart(part: BackupPart, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  const {filename, offset} = part
  const target = await openTarget(part.target)
  const sizeBytes = await target.size(filename)
  if (sizeBytes === null) throw new StorageError('not_found', `${filename} is not there any more.`)
  return offset < sizeBytes ? target.read(filename, {from: offset, signal}) : nothing()
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
