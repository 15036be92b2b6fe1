import type {MountedSite} from '../contract/agent-protocol.ts'
import {type ContainerSpec, RuntimeError} from '../runtime/driver.ts'
import {StorageError} from '../storage/driver.ts'
import type {StorageHost} from '../storage/host.ts'

/** Where the volumes stand on this machine. Throws RuntimeError for one that is not there, or not mounted. */
export async function siteFolders(
  storage: StorageHost | undefined,
  sites: readonly MountedSite[],
): Promise<NonNullable<ContainerSpec['folders']>> {
  if (sites.length === 0) return []
  if (!storage) throw new RuntimeError('failed', 'The storage of this machine is out of reach.')
  const folders: NonNullable<ContainerSpec['folders']> = []
  for (const {pool, type, volume, path, readOnly} of sites) {
    const source = await folderOf(storage, {pool, type}, volume)
    if (source === '') throw new RuntimeError('failed', `Site ${volume} is not there, or not mounted, on pool ${pool}.`)
    folders.push({source, path, readOnly})
  }
  return folders
}

/** '' when it is not there. */
async function folderOf(storage: StorageHost, pool: Pick<MountedSite, 'pool' | 'type'>, name: string): Promise<string> {
  try {
    const volumes = await storage.call('volumes.list', pool)
    return volumes.find(({volume}) => volume === name)?.path ?? ''
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    throw new RuntimeError('failed', `Site ${name}: ${error.message}`, {cause: error})
  }
}
