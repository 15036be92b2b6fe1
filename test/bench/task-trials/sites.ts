import {execFileSync} from 'node:child_process'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {runs} from '../../support/zfs-daemon.ts'
import type {TaskLab, TaskTrial} from './trial.ts'

const quotaBytes = 16 * 2 ** 20

/** Sites of a ZFS pool: made, cloned, taken back to a snapshot, destroyed. */
export function siteTrial(): TaskTrial {
  let pool = ''
  const pathOf = (name: string) => join('/', pool, name, 'page')

  return {
    name: 'sites zfs',
    async prepare(lab) {
      pool = lab.newName()
      await lab.ok('PUT', `/nodes/${lab.node}/quota`, {storageQuotaGb: 100})
      await lab.done('POST', '/storage/pools', {name: pool, node: lab.node, device: await lab.device(), force: true})
    },
    async round(lab) {
      const [name, copy] = [lab.newName(), lab.newName()]
      const wanted = {name, node: lab.node, pool, quotaBytes}
      const made = await lab.disturbed('POST', '/sites', wanted)
      await look(lab, {[name]: made.status === 'completed'})
      if (made.status !== 'completed') await lab.done('POST', '/sites', wanted)
      writeFileSync(pathOf(name), 'before')
      await lab.ok('POST', `/sites/${name}/snapshots`, {name: 's1'})
      writeFileSync(pathOf(name), 'after')

      const restored = await lab.disturbed('POST', `/sites/${name}/snapshots/s1/restore`, {confirm: name})
      const text = readFileSync(pathOf(name), 'utf8')
      const isBack = text === 'before' || (restored.status === 'failed' && text === 'after')
      lab.check(isBack, `${name} holds "${text}" after its way back ${restored.status}`)
      writeFileSync(pathOf(name), 'later')

      const cloned = await lab.disturbed('POST', `/sites/${name}/snapshots/s1/clone`, {name: copy})
      await look(lab, {[name]: true, [copy]: cloned.status === 'completed'})
      if (cloned.status === 'completed') {
        lab.check(readFileSync(pathOf(copy), 'utf8') === 'before', `${copy} holds what ${name} held`)
        await destroy(lab, copy)
      }
      await destroy(lab, name)
    },
    tidy() {
      runs('zpool', 'destroy', '-f', pool)
    },
  }

  async function destroy(lab: TaskLab, name: string): Promise<void> {
    const gone = await lab.disturbed('DELETE', `/sites/${name}?confirm=${name}`)
    await look(lab, {[name]: gone.status !== 'completed'})
    if (gone.status === 'completed') return
    await lab.done('DELETE', `/sites/${name}?confirm=${name}`)
    await look(lab, {[name]: false})
  }

  /** What the server knows and what ZFS itself lists. */
  async function look(lab: TaskLab, wanted: Record<string, boolean>): Promise<void> {
    const known = await lab.ok<{name: string; status: string}[]>('GET', '/sites')
    const onDisk = execFileSync('zfs', ['list', '-H', '-o', 'name', '-r', pool], {encoding: 'utf8'}).split('\n')
    for (const [name, isWanted] of Object.entries(wanted)) {
      const found = known.find(site => site.name === name)
      const state = `${name}: known as ${found?.status}, on the disk ${onDisk.includes(`${pool}/${name}`)}`
      lab.check(found?.status === (isWanted ? 'active' : undefined), `${state}, wanted ${isWanted}`)
      lab.check(onDisk.includes(`${pool}/${name}`) === isWanted, `${state}, wanted ${isWanted}`)
    }
  }
}
