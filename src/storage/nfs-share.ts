import type {FoundShare, Share} from '../contract/storage-protocol.ts'
import type {StorageCommand} from './driver.ts'
import {exportPath, network, poolName} from './grammar.ts'
import type {StorageRunner} from './run.ts'

/** Exports a pool's path with the kernel's NFS table, for pools whose driver has no share of its own. */
export function sharePlan(path: string, share: Share): StorageCommand[] {
  const client = `${network(share.network)}:${exportPath(path)}`
  const options = [
    share.readWrite ? 'rw' : 'ro',
    share.rootSquash ? 'root_squash' : 'no_root_squash',
    'no_subtree_check',
    'crossmnt', // volumes may be file systems of their own
  ]
  return [{file: 'exportfs', args: ['-o', options.join(','), client]}]
}

export function unsharePlan(path: string, {network: cidr}: Share): StorageCommand[] {
  return [{file: 'exportfs', args: ['-u', `${network(cidr)}:${exportPath(path)}`], fine: /not found|could not find/i}]
}

/** ZFS keeps the share with the pool, so that it survives a restart: the very command of the infra document. */
export function zfsSharePlan(pool: string, share: Share): StorageCommand[] {
  const [mode, root] = [share.readWrite ? 'rw' : 'ro', share.rootSquash ? '' : ',no_root_squash']
  const set = (value: string) => ['set', `sharenfs=${value}`, poolName(pool)]
  const client = network(share.network)
  // zfs-fuse takes `CLIENT:OPTIONS`.
  const otherwise = {when: /exportfs failed/i, args: set(`${client}:${mode}${root}`)}
  return [{file: 'zfs', args: set(`${mode}=@${client}${root}`), otherwise}]
}

export function zfsUnsharePlan(pool: string): StorageCommand[] {
  return [{file: 'zfs', args: ['set', 'sharenfs=off', poolName(pool)]}]
}

/** Every export of this host: `exportfs -s` prints `PATH  CLIENT(options)`, one a line. */
export async function listShares(runner: StorageRunner): Promise<FoundShare[]> {
  const text = await runner.read('exportfs', ['-s']).catch(() => '')
  return [...text.matchAll(/^(\S+)\s+(\S+?)\(([^)]*)\)/gm)].map(([, path = '', client = '', options = '']) => ({
    exportPath: path,
    network: client,
    readWrite: /\brw\b/.test(options),
    rootSquash: !options.includes('no_root_squash'),
  }))
}
