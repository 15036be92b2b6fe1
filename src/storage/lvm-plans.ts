import {join} from 'node:path'
import type {VolumeName} from '../contract/storage-protocol.ts'
import {noStream, type StorageCommand, StorageError, type StoragePlans} from './driver.ts'
import {devicePath, markText, poolName, sizeBytes, volumeName} from './grammar.ts'

export const thinPool = '+thin'
/** Of what is being made, and of what a roll-back is about to drop. */
export const newPrefix = '+new+'
export const oldPrefix = '+old+'

const gone = /failed to find|not found|no such file|not mounted|no mount point/i
type Name = Pick<VolumeName, 'pool' | 'volume'>

/** Of a logical volume: device-mapper doubles every dash of the names. */
export function deviceOf(pool: string, logical: string): string {
  return `/dev/mapper/${poolName(pool).replaceAll('-', '--')}-${logical.replaceAll('-', '--')}`
}

export function lvmPlans({type, root}: {type: 'lvm' | 'lvm-thin'; root: string}): StoragePlans {
  const isThin = type === 'lvm-thin'
  const place = (pool: string) => join(root, poolName(pool))
  const mountPoint = ({pool, volume}: Name) => join(place(pool), volumeName(volume))
  const growing = ({pool, volume}: Name) => join(place(pool), `+grow+${volumeName(volume)}`)
  const reading = (name: Name & {snapshot: string}) => join(place(name.pool), `+read+${snapshotOf(name)}`)
  const logical = (pool: string, name: string) => `${poolName(pool)}/${name}`
  const snapshotOf = (name: {volume: string; snapshot: string}) =>
    `${volumeName(name.volume)}+${volumeName(name.snapshot)}`
  const remove = (pool: string, name: string): StorageCommand => ({
    ...{file: 'lvremove', args: ['-y', '-f', logical(pool, name)], fine: gone, patient: true},
  })
  const rename = (pool: string, from: string, to: string): StorageCommand => ({
    ...{file: 'lvrename', args: [poolName(pool), from, to], fine: gone},
  })
  const unmount = (path: string): StorageCommand => ({file: 'umount', args: [path], fine: gone, patient: true})
  const mount = (pool: string, name: string, at: string): StorageCommand[] => [
    {file: 'mkdir', args: ['-p', at]},
    {file: 'mount', args: ['-t', 'ext4', deviceOf(pool, name), at], fine: /already mounted/i},
  ]
  const snapshot = (pool: string, from: string, to: string, ...rest: string[]): StorageCommand => ({
    file: 'lvcreate',
    args: ['-y', '-s', ...(isThin ? ['-kn'] : ['-l', '100%ORIGIN']), ...rest, '-n', to, logical(pool, from)],
  })
  const open = (pool: string): StorageCommand[] => [
    {file: 'vgchange', args: ['-ay', poolName(pool)]},
    ...(isThin ? [thinPoolOf(pool)] : []),
    {file: 'mkdir', args: ['-p', '-m', '0755', place(pool)]},
    // A mount of its own, so that its volumes can be unmounted with it.
    {file: 'mount', args: ['--bind', place(pool), place(pool)]},
  ]
  /** Mounted before it has its name: what has its name is whole. */
  const making = (name: Name, make: StorageCommand[]): StorageCommand[] => {
    const hidden = `${newPrefix}${volumeName(name.volume)}`
    return [
      unmount(mountPoint(name)),
      remove(name.pool, hidden),
      ...make,
      ...mount(name.pool, hidden, mountPoint(name)),
      rename(name.pool, hidden, name.volume),
    ]
  }

  return {
    createPool({pool, device, force, mark}) {
      if (!device) throw new StorageError('invalid', 'A volume group needs a device.')
      const tags = ['--addtag', `gpuctl:${markText(mark)}`, '--addtag', `gpuctl-type:${type}`]
      return [
        ...(force ? [{file: 'wipefs', args: ['-a', devicePath(device)]}] : []),
        {file: 'vgcreate', args: ['-y', ...tags, poolName(pool), devicePath(device)]},
        ...open(pool),
      ]
    },
    openPool: ({pool}) => open(pool),
    destroyPool: ({pool, devices}) => [
      {file: 'umount', args: ['-R', place(pool)], fine: gone, patient: true},
      {file: 'vgchange', args: ['-an', poolName(pool)], fine: gone, patient: true},
      // The label of the device is that of the group: both go in one moment.
      {file: 'pvremove', args: ['-y', '-ff', ...devices.map(devicePath)]},
      {file: 'rm', args: ['-rf', '--one-file-system', place(pool)]},
    ],
    createVolume({quotaBytes, mark, ...name}) {
      if (quotaBytes === null) throw new StorageError('invalid', `A volume of an ${type} pool needs a size.`)
      const hidden = `${newPrefix}${volumeName(name.volume)}`
      const size = `${sizeBytes(quotaBytes)}b`
      const tagged = ['-y', '--addtag', `gpuctl:${markText(mark)}`, '-n', hidden]
      const args = isThin
        ? [...tagged, '-V', size, '-T', logical(name.pool, thinPool)]
        : [...tagged, '-Wn', '-Zn', '-L', size, poolName(name.pool)]
      return making(name, [
        {file: 'lvcreate', args},
        {file: 'mkfs.ext4', args: ['-q', '-F', '-m', '0', deviceOf(name.pool, hidden)]},
      ])
    },
    setQuota({quotaBytes, pool, volume}) {
      if (quotaBytes === null) throw new StorageError('invalid', `A volume of an ${type} pool needs a size.`)
      const grown = ['-L', `${sizeBytes(quotaBytes)}b`, logical(pool, volumeName(volume))]
      return [
        {file: 'lvextend', args: grown, fine: /matches existing size/i},
        // It was mounted by the name that it had then, by which resize2fs would not find it.
        ...mount(pool, volumeName(volume), growing({pool, volume})),
        {file: 'resize2fs', args: [deviceOf(pool, volume)]},
        unmount(growing({pool, volume})),
        {file: 'rmdir', args: [growing({pool, volume})], fine: gone},
      ]
    },
    deleteVolume: ({pool, volume}) => [
      unmount(growing({pool, volume})),
      unmount(mountPoint({pool, volume})),
      remove(pool, `${oldPrefix}${volumeName(volume)}`),
      remove(pool, `${newPrefix}${volumeName(volume)}`),
      remove(pool, volumeName(volume)),
      {file: 'rmdir', args: [mountPoint({pool, volume})], fine: gone},
    ],
    createSnapshot: name => [snapshot(name.pool, volumeName(name.volume), snapshotOf(name))],
    deleteSnapshot: name => [...closing(name), remove(name.pool, snapshotOf(name))],
    rollback: name => (isThin ? thinRollback(name) : plainRollback(name)),
    send: noStream,
    receive: noStream,
    adopt: noStream,
    ...(isThin ? {} : {readSnapshot}),
    clone: ({to, mark, ...name}) => {
      const target = {pool: name.pool, volume: to}
      const tag = ['--addtag', `gpuctl:${markText(mark)}`]
      return making(target, [snapshot(name.pool, snapshotOf(name), `${newPrefix}${volumeName(to)}`, ...tag)])
    },
  }

  function readSnapshot(name: VolumeName & {snapshot: string}) {
    const at = reading(name)
    const device = deviceOf(name.pool, snapshotOf(name))
    const mounted = {file: 'mount', args: ['-t', 'ext4', '-o', 'ro', device, at], fine: /already mounted/i}
    return {path: at, open: [{file: 'mkdir', args: ['-p', at]}, mounted], close: closing(name)}
  }

  /** One whose reader died may still be mounted. */
  function closing(name: VolumeName & {snapshot: string}): StorageCommand[] {
    if (isThin) return []
    const at = reading(name)
    return [unmount(at), {file: 'rmdir', args: [at], fine: gone}]
  }

  function thinRollback(name: VolumeName & {snapshot: string}): StorageCommand[] {
    const {pool} = name
    const volume = volumeName(name.volume)
    const [next, last] = [`${newPrefix}${volume}`, `${oldPrefix}${volume}`]
    return [
      unmount(mountPoint(name)),
      remove(pool, next),
      snapshot(pool, snapshotOf(name), next),
      rename(pool, volume, last),
      rename(pool, next, volume),
      ...mount(pool, volume, mountPoint(name)),
      remove(pool, last),
    ]
  }

  /** Merging uses the snapshot up: it is made again. */
  function plainRollback(name: VolumeName & {snapshot: string}): StorageCommand[] {
    const {pool} = name
    return [
      unmount(mountPoint(name)),
      {file: 'lvconvert', args: ['-y', '-i', '1', '--merge', logical(pool, snapshotOf(name))], fine: gone},
      ...mount(pool, volumeName(name.volume), mountPoint(name)),
      snapshot(pool, volumeName(name.volume), snapshotOf(name)),
    ]
  }
}

function thinPoolOf(pool: string): StorageCommand {
  const args = ['-y', '-Zn', '--type', 'thin-pool', '-l', '90%FREE', '-n', thinPool, poolName(pool)]
  return {file: 'lvcreate', args, fine: /already exists/i}
}
