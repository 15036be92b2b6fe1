import {join} from 'node:path'
import {type Exec, exec} from '../platform/exec.ts'
import {BtrfsDriver} from './btrfs.ts'
import {DirectoryDriver} from './directory.ts'
import {FakeDriver} from './fake.ts'
import {StorageHost} from './host.ts'
import {StorageLocks} from './locks.ts'
import {NfsMounts} from './nfs-mount.ts'
import {storageRunner} from './run.ts'
import {ZfsDriver} from './zfs.ts'

interface StorageParts {
  /** Where pools that are folders stand. */
  directory: string
  /** Where file systems that are pools are mounted. */
  poolRoot?: string
  /** Where other nodes' exports are mounted. */
  mountRoot?: string
  run?: Exec
  fstab?: string
}

/** All drivers; a new one is a file and a line here, and the conformance suite then asks for its workplace. */
export function openStorage(parts: StorageParts): StorageHost {
  const {directory, poolRoot = '/srv/gpuctl', mountRoot = '/mnt/gpuctl', run = exec, fstab} = parts
  const runner = storageRunner(run)
  return new StorageHost({
    drivers: [
      new ZfsDriver({runner}),
      new BtrfsDriver({root: poolRoot, runner}),
      new DirectoryDriver({root: join(directory, 'pools'), runner}),
      new FakeDriver({root: join(directory, 'fake'), runner}),
    ],
    mounts: new NfsMounts({runner, root: mountRoot, ...(fstab ? {fstab} : {})}),
    runner,
    locks: new StorageLocks({folder: join(directory, 'locks'), runner}),
  })
}
