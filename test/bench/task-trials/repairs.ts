import {existsSync, readFileSync, utimesSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {runs} from '../../support/zfs-daemon.ts'
import type {TaskLab, TaskTrial} from './trial.ts'

const checks = ['leftovers', 'storage']

/** What became of a machine is mended: a mount that is not in its place, and a file of an agent that was killed. */
export function repairTrial(): TaskTrial {
  let path = ''
  return {
    name: 'repairs',
    async prepare(lab) {
      const name = lab.newName()
      path = join(lab.folder ?? '', 'mnt', name)
      const source = {server: '192.0.2.1', exportPath: '/tank'}
      await lab.done('POST', '/storage/mounts', {name, nodes: [lab.node], ...source})
    },
    async round(lab) {
      const leftover = join(lab.agentData, 'agent', '.state.json.0123456789ab.tmp')
      writeFileSync(leftover, '{')
      utimesSync(leftover, 0, 0)
      while (mounts() > 0) runs('umount', path)
      for (const how of ['disturbed', 'done'] as const) {
        const {status, error} = await lab[how]('POST', `/nodes/${lab.node}/repairs`, {checks})
        const after = `after node.repair ${status} ${error?.message ?? ''}`
        const found = await examined(lab)
        const amiss = found.filter(({check, level}) => checks.includes(check) && level !== 'ok')
        lab.check(mounts() < 2, `${after}: ${path} is mounted ${mounts()} times`)
        lab.check(
          amiss.some(({check}) => check === 'storage') === (mounts() === 0),
          `${after}: ${JSON.stringify(found)}`,
        )
        lab.check(amiss.some(({check}) => check === 'leftovers') === existsSync(leftover), `${after}: ${leftover}`)
        lab.check(status !== 'completed' || amiss.length === 0, `${after}: all is well, not ${JSON.stringify(amiss)}`)
        if (status === 'completed') return
      }
    },
    tidy() {
      while (path && mounts() > 0 && runs('umount', '-l', path));
    },
  }

  /** What is cancelled amid a mount is mounted all the same, a moment later: then once more. */
  async function examined(lab: TaskLab): Promise<{check: string; level: string}[]> {
    for (;;) {
      const before = mounts()
      const found = await lab.ok<{check: string; level: string}[]>('GET', `/nodes/${lab.node}/examination`)
      if (mounts() === before) return found
    }
  }

  function mounts(): number {
    return readFileSync('/proc/mounts', 'utf8').split(`${path} `).length - 1
  }
}
