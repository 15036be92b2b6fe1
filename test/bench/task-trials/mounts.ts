import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as pause} from 'node:timers/promises'
import {runs} from '../../support/zfs-daemon.ts'
import type {EndedTask, TaskLab, TaskTrial} from './trial.ts'

/** Exports of another machine: mounted, kept over a restart, registered, unmounted. Of a lab alone. */
export function mountTrial(): TaskTrial {
  const names: string[] = []
  return {
    name: 'mounts',
    async round(lab) {
      const name = lab.newName()
      names.push(name)
      const source = {server: '192.0.2.1', exportPath: '/tank'}
      const made = await lab.disturbed('POST', '/storage/mounts', {name, nodes: [lab.node], ...source})
      await look(lab, name, made)
      if (made.status !== 'completed') return
      const gone = await lab.disturbed('DELETE', `/storage/mounts/${name}`)
      await look(lab, name, gone)
      if (gone.status !== 'completed') await look(lab, name, await lab.done('DELETE', `/storage/mounts/${name}`))
    },
    tidy({folder = ''}) {
      for (const name of names) runs('umount', '-l', join(folder, 'mnt', name))
    },
  }

  async function look(lab: TaskLab, name: string, {type, status, error}: EndedTask): Promise<void> {
    const {folder = ''} = lab
    const places = {
      server: await statusOf(lab, name),
      kernel: has('/proc/mounts', `${join(folder, 'mnt', name)} `),
      fstab: has(join(folder, 'fstab'), `x-gpuctl.mount=${name}`),
      cluster: has(join(folder, 'pve', 'storage.cfg'), `nfs: ${name}\n`),
    }
    const isWanted = (type === 'mount.create') === (status === 'completed')
    const wanted = isWanted ? 'mounted true true true' : 'absent false false false'
    const found = Object.values(places).join(' ')
    lab.check(found === wanted, `${name} after ${type} ${status} ${error?.message ?? ''}: ${JSON.stringify(places)}`)
  }
}

/** A look that the node could not take is taken again. */
async function statusOf(lab: TaskLab, name: string): Promise<string> {
  for (let look = 0; ; look++) {
    const listed = await lab.ok<{name: string; status: string}[]>('GET', '/storage/mounts')
    const status = listed.find(one => one.name === name)?.status ?? 'absent'
    if (status !== 'unknown' || look === 20) return status
    await pause(500)
  }
}

function has(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8').includes(text)
  } catch {
    return false
  }
}
