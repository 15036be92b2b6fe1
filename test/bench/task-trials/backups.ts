import {execFileSync} from 'node:child_process'
import {createHash, randomBytes} from 'node:crypto'
import {mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {runs} from '../../support/zfs-daemon.ts'
import type {BackupPlace} from './backup-places.ts'
import type {TaskLab, TaskTrial} from './trial.ts'

const mebibyte = 2 ** 20
const quotaBytes = 96 * mebibyte
/** Of each round, by the number of steps that each of them has. */
const whole = {makes: 3, restores: 4}
const restoresBeside = 2
/** Whole files that are kept: the third one of a round takes the first with it. */
const kept = 2

interface Backup {
  id: string
  filename: string
  checksum: string
}

/**
 * Backups of a site of a ZFS pool: `tar` whole files, read again and restored over the site; `send` streams
 * and differences, restored beside it.
 */
export function backupTrial(format: 'tar' | 'send', place: BackupPlace): TaskTrial {
  const target = `disk-${format}`
  let pool = ''
  let site = ''
  /** The snapshot that the next difference needs. */
  let base: string | undefined
  /** What is to lie in the place. */
  let wanted: string[] = []

  return {
    name: `backups ${format} in ${place.name}`,
    async prepare(lab) {
      pool = lab.newName()
      site = lab.newName()
      await lab.ok('PUT', `/nodes/${lab.node}/quota`, {storageQuotaGb: 100})
      await lab.done('POST', '/storage/pools', {name: pool, node: lab.node, device: await lab.device(), force: true})
      await lab.done('POST', '/sites', {name: site, node: lab.node, pool, quotaBytes})
      if (format === 'tar') await lab.ok('PUT', `/sites/${site}/schedule`, {frequency: 'manual', retentionCopies: kept})
      await lab.ok('POST', '/backup-targets', {name: target, ...(await place.open())})
      mkdirSync(join(pathOf(site), 'folder'))
      writeFileSync(join(pathOf(site), 'folder', 'page'), randomBytes(place.pageBytes))
    },
    async round(lab) {
      await (format === 'tar' ? wholeFiles(lab) : streams(lab))
    },
    tidy() {
      runs('zpool', 'destroy', '-f', pool)
      place.tidy()
    },
  }

  async function wholeFiles(lab: TaskLab): Promise<void> {
    write('before')
    const before = contentOf(site)
    const backups: Backup[] = []
    for (let time = 0; time < whole.makes; time++) backups.push(await make(lab))
    const backup = backups.at(-1) as Backup
    const read = await lab.disturbed('POST', `/backups/${backup.id}/verify`)
    await look(lab, `after backup.verify ${read.status}`)
    for (let time = 0; time < whole.restores; time++) {
      write('later')
      const later = contentOf(site)
      const {status, error} = await lab.disturbed('POST', `/backups/${backup.id}/restore`, {site, confirm: site})
      const after = `after backup.restore over it ${status} ${error?.message ?? ''}`
      lab.check(
        contentOf(site) === (status === 'completed' ? before : later),
        `${site} ${after} holds what its end says`,
      )
      checkQuota(lab, site, after)
      await look(lab, after)
    }
    for (const one of backups.slice(-kept)) await remove(lab, one)
  }

  async function streams(lab: TaskLab): Promise<void> {
    write('before')
    const full = await make(lab)
    write('later')
    const difference = await make(lab)
    const later = contentOf(site)
    for (let time = 0; time < restoresBeside; time++) {
      const copy = lab.newName()
      const {status, error} = await lab.disturbed('POST', `/backups/${difference.id}/restore`, {site: copy})
      const after = `after backup.restore beside it ${status} ${error?.message ?? ''}`
      await look(lab, after, status === 'completed' ? [copy] : [])
      if (status !== 'completed') continue
      lab.check(contentOf(copy) === later, `${copy} ${after} holds what ${site} held`)
      checkQuota(lab, copy, after)
      await lab.done('DELETE', `/sites/${copy}?confirm=${copy}`)
    }
    await remove(lab, difference)
    await remove(lab, full)
  }

  async function make(lab: TaskLab): Promise<Backup> {
    const body = {site, target, incremental: format === 'send'}
    for (const how of ['disturbed', 'done'] as const) {
      const {status, error} = await lab[how]('POST', '/backups', body)
      const made = (await listed(lab)).find(({filename}) => !wanted.includes(filename))
      if (status === 'completed' && made) {
        wanted.push(made.filename)
        if (format === 'tar') wanted = wanted.slice(-kept)
        if (format === 'send') base = `backup-${made.id.slice(0, 8)}`
      }
      await look(lab, `after backup.create ${status} ${error?.message ?? ''}`)
      if (status !== 'completed' || !made) continue
      lab.check(
        (await place.digest(made.filename)) === made.checksum,
        `${made.filename} has the bytes that were written`,
      )
      return made
    }
    throw new Error('A backup was made, and the server does not list it.')
  }

  async function remove(lab: TaskLab, {id, filename}: Backup): Promise<void> {
    for (const how of ['disturbed', 'done'] as const) {
      const {status, error} = await lab[how]('DELETE', `/backups/${id}?confirm=${filename}`)
      if (status === 'completed') {
        wanted = wanted.filter(name => name !== filename)
        if (base === `backup-${id.slice(0, 8)}`) base = undefined
      }
      await look(lab, `after backup.delete ${status} ${error?.message ?? ''}`)
      if (status === 'completed') return
    }
  }

  /** What the server lists lies in the place, and nothing half done, and ZFS has the sites, the kept snapshot and nothing else of ours. */
  async function look(lab: TaskLab, after: string, copies: string[] = []): Promise<void> {
    const expected = [...wanted].sort().join(' ')
    const known = (await listed(lab)).map(({filename}) => filename)
    const files = await place.files()
    lab.check(known.sort().join(' ') === expected, `${after} the server lists ${known}, wanted ${expected}`)
    lab.check(files.sort().join(' ') === expected, `${after} ${place.name} has ${files}, wanted ${expected}`)
    const sites = await lab.ok<{name: string; status: string}[]>('GET', '/sites')
    const states = sites.map(({name, status}) => `${name} ${status}`)
    const active = [site, ...copies].map(name => `${name} active`)
    lab.check(states.sort().join() === active.sort().join(), `${after} the sites are ${states}, wanted ${active}`)
    const datasets = execFileSync('zfs', ['list', '-H', '-t', 'all', '-o', 'name', '-r', pool], {encoding: 'utf8'})
    const found = datasets.trim().split('\n')
    const ours = [pool, ...[site, ...copies, ...(base ? [`${site}@${base}`] : [])].map(name => `${pool}/${name}`)]
    lab.check(found.sort().join() === ours.sort().join(), `${after} ZFS has ${found}, wanted ${ours}`)
  }

  function checkQuota(lab: TaskLab, name: string, after: string): void {
    const args = ['get', '-Hp', '-o', 'value', 'quota', `${pool}/${name}`]
    const found = execFileSync('zfs', args, {encoding: 'utf8'}).trim()
    lab.check(found === String(quotaBytes), `${name} ${after} has a quota of ${found}`)
  }

  function listed(lab: TaskLab): Promise<Backup[]> {
    return lab.ok<Backup[]>('GET', `/backups?site=${site}`)
  }

  function pathOf(name: string): string {
    return join('/', pool, name)
  }

  /** A state of the site that is like no other one, also by the names of its files. */
  function write(state: string): void {
    const path = pathOf(site)
    for (const name of readdirSync(path)) if (name !== 'folder') rmSync(join(path, name))
    writeFileSync(join(path, `${state}-${randomBytes(4).toString('hex')}`), state)
  }

  /** Names and bytes of all files. */
  function contentOf(name: string): string {
    const hash = createHash('sha256')
    const found = readdirSync(pathOf(name), {recursive: true, withFileTypes: true})
    const files = found.filter(entry => entry.isFile()).map(({parentPath, name: file}) => join(parentPath, file))
    for (const path of files.sort())
      hash
        .update(path.slice(pathOf(name).length))
        .update('\0')
        .update(readFileSync(path))
    return hash.digest('hex')
  }
}
