import {join} from 'node:path'
import {type Exec, exec} from '../platform/exec.ts'
import {DirectoryDriver} from './directory.ts'
import {StorageHost} from './host.ts'
import {NfsMounts} from './nfs-mount.ts'
import {storageRunner} from './run.ts'
import {ZfsDriver} from './zfs.ts'

interface StorageParts {
  /** Where pools that are folders stand. */
  directory: string
  /** Where other nodes' exports are mounted. */
  mountRoot?: string
  run?: Exec
  fstab?: string
}

/** All drivers; a new one is a file and a line here, and the conformance suite then asks for its workplace. */
export function openStorage({directory, mountRoot = '/mnt/gpuctl', run = exec, fstab}: StorageParts): StorageHost {
  const runner = storageRunner(run)
  return new StorageHost({
    drivers: [new ZfsDriver({runner}), new DirectoryDriver({root: join(directory, 'pools'), runner})],
    mounts: new NfsMounts({runner, root: mountRoot, ...(fstab ? {fstab} : {})}),
    runner,
  })
}
