import {join} from 'node:path'
import {systemClock} from '../platform/clock.ts'
import {type Exec, exec} from '../platform/exec.ts'
import {BtrfsDriver} from './btrfs.ts'
import type {TemplateImages} from './cluster.ts'
import type {JoinSettings} from './cluster-join.ts'
import {DirectoryDriver} from './directory.ts'
import {StorageDrivers} from './drivers.ts'
import {FakeDriver} from './fake.ts'
import {FoundStorage} from './found.ts'
import {StorageHost} from './host.ts'
import {StorageLocks} from './locks.ts'
import {LvmDriver} from './lvm.ts'
import {LvmReport} from './lvm-report.ts'
import {NfsMounts} from './nfs-mount.ts'
import {NfsProbe} from './nfs-probe.ts'
import {NfsShares} from './nfs-share.ts'
import {OsImages} from './os-images.ts'
import {Proxmox} from './proxmox.ts'
import {storageRunner} from './run.ts'
import {Sharing} from './sharing.ts'
import {ZfsDriver} from './zfs.ts'

export interface StorageParts {
  /** Where pools that are folders stand. */
  directory: string
  /** Where file systems that are pools are mounted. */
  poolRoot?: string
  /** Where other nodes' exports are mounted. */
  mountRoot?: string
  run?: Exec
  fstab?: string
  /** The server's table of our exports. */
  exports?: string
  /** Of the programs that are run, in place of the system's own. */
  env?: Record<string, string>
  /** Where Proxmox VE keeps its configuration and its files. */
  proxmox?: {configFolder: string; isoFolder: string}
  /** How machines that are to join a cluster are reached. */
  join?: JoinSettings | undefined
  templateImages?: TemplateImages | undefined
}

const proxmoxFolders = {configFolder: '/etc/pve', isoFolder: '/var/lib/vz/template/iso'}

/** All drivers; a new one is a file and a line here, and the conformance suite then asks for its workplace. */
export function openStorage(parts: StorageParts): StorageHost {
  const {directory, poolRoot = '/srv/gpuctl', mountRoot = '/mnt/gpuctl', run = exec, fstab, exports} = parts
  const {env, templateImages, join: joinSettings, proxmox: {configFolder, isoFolder} = proxmoxFolders} = parts
  const runner = storageRunner(run, env)
  const proxmox = new Proxmox({runner, configFolder})
  const folder = async () => ((await proxmox.isPresent()) ? isoFolder : join(directory, 'os-images'))
  const report = new LvmReport({runner})
  const drivers = new StorageDrivers({
    clock: systemClock,
    drivers: [
      new ZfsDriver({runner}),
      new LvmDriver({type: 'lvm', root: poolRoot, report}),
      new LvmDriver({type: 'lvm-thin', root: poolRoot, report}),
      new BtrfsDriver({root: poolRoot, runner}),
      new DirectoryDriver({root: join(directory, 'pools'), runner}),
      new FakeDriver({root: join(directory, 'fake'), runner}),
    ],
  })
  const shares = new NfsShares({runner, ...(exports ? {file: exports} : {})})
  const found = new FoundStorage({drivers, shares, runner})
  return new StorageHost({
    ...{drivers, found, shares},
    sharing: new Sharing({found, shares, probe: new NfsProbe({runner})}),
    mounts: new NfsMounts({runner, root: mountRoot, ...(fstab ? {fstab} : {})}),
    ...{runner, proxmox, templateImages, joinSettings},
    locks: new StorageLocks({folder: join(directory, 'locks'), runner}),
    osImages: new OsImages({folder}),
  })
}
