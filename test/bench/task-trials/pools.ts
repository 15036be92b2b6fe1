import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as pause} from 'node:timers/promises'
import type {PoolType} from '../../../src/contract/storage-protocol.ts'
import {runs} from '../../support/zfs-daemon.ts'
import type {EndedTask, TaskLab, TaskTrial} from './trial.ts'

/** Pools that are made and destroyed (reliability M24). */
export function poolTrial(type: PoolType): TaskTrial {
  const names: string[] = []
  let device: string | undefined
  return {
    name: `pools ${type}`,
    async prepare(lab) {
      if (type !== 'directory') device = await lab.device()
    },
    async round(lab) {
      const name = lab.newName()
      names.push(name)
      const body = {name, node: lab.node, type, force: true, ...(device ? {device} : {})}
      const made = await lab.disturbed('POST', '/storage/pools', body)
      if (!(await look(lab, name, made))) return
      const path = `/storage/pools/${name}?confirm=${name}`
      const gone = await lab.disturbed('DELETE', path)
      if (!(await look(lab, name, gone))) return
      const again = await lab.done('DELETE', path)
      lab.check(!(await look(lab, name, again)), `${name} (${type}) goes when nobody disturbs it`)
    },
    tidy() {
      for (const name of names) {
        if (type === 'zfs') runs('zpool', 'destroy', '-f', name)
        runs('umount', '-l', `/srv/gpuctl/${name}`)
        runs('rmdir', `/srv/gpuctl/${name}`)
      }
    },
  }

  /** Whether it is there, by the words of the storage itself. */
  async function look(lab: TaskLab, name: string, {status, type: what, error}: EndedTask): Promise<boolean> {
    const after = `after ${what} ${status} ${error?.message ?? ''}: ${name} (${type})`
    const known = await knownAs(lab, name)
    const isThere = isOnDisk(name, lab)
    lab.check(known === undefined || known.status === 'online', `${after} is online, not ${known?.status}`)
    lab.check(
      Boolean(known) === isThere,
      `${after} is on the disk (${isThere}) where the server knows it (${!isThere})`,
    )
    lab.check(isThere || !device || !runs('blkid', '-p', device), `${after} leaves nothing on the disk`)
    lab.check((what === 'pool.create') === ((status === 'completed') === isThere), `${after} is what its end says`)
    if (lab.folder && (type === 'zfs' || type === 'lvm')) {
      const isRegistered = readFileSync(join(lab.folder, 'pve', 'storage.cfg'), 'utf8').includes(`: ${name}\n`)
      lab.check(isRegistered === isThere, `${after} is registered (${isRegistered}) where it is there (${isThere})`)
    }
    return isThere
  }

  /** A look that the node could not take is taken again. */
  async function knownAs(lab: TaskLab, name: string): Promise<{status: string} | undefined> {
    for (let look = 0; ; look++) {
      const listed = await lab.ok<{name: string; status: string}[]>('GET', '/storage/pools')
      const known = listed.find(pool => pool.name === name)
      if (known?.status !== 'unknown' || look === 20) return known
      await pause(500)
    }
  }

  function isOnDisk(name: string, {agentData}: TaskLab): boolean {
    if (type === 'zfs') return runs('zpool', 'list', name)
    if (type === 'directory') return runs('find', join(agentData, 'agent', 'storage', 'pools', name), '-maxdepth', '0')
    try {
      return execFileSync('blkid', ['-p', '-o', 'export', device ?? ''], {encoding: 'utf8'}).includes(`:${name}:`)
    } catch {
      return false
    }
  }
}
