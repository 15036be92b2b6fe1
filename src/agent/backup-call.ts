import {Readable} from 'node:stream'
import {pipeline} from 'node:stream/promises'
import type {BackupPart} from '../contract/storage-protocol.ts'
import {type AgentCall, CallProblem} from '../link/routes.ts'
import {readPart} from '../storage/backup/read-part.ts'
import type {StorageHost} from '../storage/host.ts'
import {asStorageProblem} from './storage-call.ts'

/** Answers with the bytes of a finished backup from an offset on. */
export async function sendBackup(call: AgentCall, host: StorageHost | undefined, cut: AbortSignal): Promise<void> {
  if (!host) throw new CallProblem(503, 'storage_unavailable', 'The storage of this machine is out of reach.')
  const part = (await call.readJson()) as BackupPart
  try {
    const content = await readPart(part, cut)
    await pipeline(Readable.from(content), call.respondStream(200, 'application/octet-stream'))
  } catch (error) {
    throw asStorageProblem(error)
  }
}
