import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Snapshot} from '../../contract/schemas/sites.ts'
import type {FoundSnapshot} from '../../contract/storage-protocol.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import {restoreSite} from '../recipes/site-recipes.ts'
import type {SiteRecord} from '../records.ts'
import {Rehearsed, tryOnly} from '../rehearsal.ts'
import {nextRun, scheduledPrefix} from '../site-schedule.ts'
import {publicTask} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {readyVolume} from './site-finder.ts'
import {claimNames, type SiteParts, type SiteVolumes} from './site-volumes.ts'

/** Of one site; each is looked at when they are listed. */
const mostSnapshots = 500
const everyTime = '03:00'
const everyCopies = 10

/** What sites were: kept by their pool, and asked of it. */
export class SiteSnapshots {
  readonly #deps: ServiceDependencies
  readonly #parts: SiteParts & {volumes: SiteVolumes}

  constructor(deps: ServiceDependencies, parts: SiteParts & {volumes: SiteVolumes}) {
    this.#deps = deps
    this.#parts = parts
  }

  async list({id}: InputOf<'sites.snapshots'>, caller: Caller): Promise<Snapshot[]> {
    const site = await this.#parts.finder.findVolume(id, caller)
    return (await this.#found(site)).map(found => publicSnapshot(site, found))
  }

  /** Short enough to wait for. */
  async create({id, name = this.#nameNow()}: InputOf<'sites.snapshot'>, caller: Caller): Promise<Snapshot> {
    const site = await this.#parts.finder.findVolume(id, caller)
    if (name.startsWith(scheduledPrefix)) {
      const fix = 'Choose another name.'
      throw problem('input_invalid', {
        field: 'name',
        problem: `begins with ${scheduledPrefix}, as the schedule's do`,
        fix,
      })
    }
    const known = await this.#found(site)
    if (known.some(({snapshot}) => snapshot === name)) throw problem('name_taken', {kind: 'site snapshot', name})
    if (known.length >= mostSnapshots) {
      throw problem('storage_full', {name: site.name, reason: `there are ${known.length} snapshots of the site`})
    }
    if (caller.rehearses) throw await this.#rehearsed('snapshot.create', 'sites.snapshot', site, name)
    await this.#note(caller, 'sites.snapshot', site, name)
    const made = await this.#agentOf(site).storage('snapshot.create', {...(await this.#volumeOf(site)), snapshot: name})
    return publicSnapshot(site, made)
  }

  async delete({id, snapshot}: InputOf<'sites.deleteSnapshot'>, caller: Caller): Promise<{done: true}> {
    const site = await this.#parts.finder.findVolume(id, caller)
    await this.#check(site, snapshot)
    if (caller.rehearses) throw await this.#rehearsed('snapshot.delete', 'sites.deleteSnapshot', site, snapshot)
    await this.#note(caller, 'sites.deleteSnapshot', site, snapshot)
    await this.#agentOf(site).storage('snapshot.delete', {...(await this.#volumeOf(site)), snapshot})
    return {done: true}
  }

  async restore(
    {id, snapshot, confirm, dryRun}: InputOf<'sites.restore'>,
    caller: Caller,
  ): Promise<OutputOf<'sites.restore'>> {
    const found = await this.#parts.finder.findVolume(id, caller)
    await this.#check(found, snapshot)
    const work = {...(await this.#parts.volumes.workOf(found)), snapshot}
    if (dryRun) {
      await tryOnly(one => this.restore({id, snapshot, confirm: found.name}, one), caller)
      const input = {...(await this.#volumeOf(found)), snapshot}
      const commands = await this.#agentOf(found).storage('plan', {method: 'snapshot.rollback', input})
      return {task: null, commands}
    }
    if (confirm !== found.name) throw problem('site_restore_unconfirmed', {name: found.name})
    const task = await this.#deps.journal.change(async (tx, record) => {
      const site = await tx.sites.find(found.id)
      if (!site) throw problem('not_found', {kind: 'site', name: id})
      // Written first: who mounts it at this moment waits, and then finds it changing.
      await tx.sites.save({...readyVolume(site), status: 'restoring'})
      const mounts = await tx.sites.mountedBy(site.id)
      if (mounts.length > 0) throw problem('site_in_use', {name: site.name, claims: claimNames(mounts)})
      return this.#parts.tasks.submit({tx, record}, {recipe: restoreSite, input: work, node: work.node, caller})
    })
    this.#parts.tasks.start(task)
    return {task: publicTask(task), commands: []}
  }

  async setSchedule(
    {id, frequency, time, days, retentionCopies = everyCopies, ...rest}: InputOf<'sites.setSchedule'>,
    caller: Caller,
  ): Promise<SiteRecord> {
    const found = await this.#parts.finder.findVolume(id, caller)
    const {expireDays = null} = rest
    if (frequency !== 'manual') await this.#found(found) // throws where the storage has no snapshots
    const now = this.#deps.clock.now()
    const schedule = {
      scheduleFrequency: frequency,
      scheduleTime: frequency === 'manual' ? null : (time ?? everyTime),
      scheduleDays: daysOf(frequency, days),
    }
    const next = nextRun(schedule, now)
    const nextRunAt = next === null ? null : new Date(next).toISOString()
    return this.#deps.journal.change(async (tx, record) => {
      const site = await tx.sites.find(found.id)
      if (!site) throw problem('not_found', {kind: 'site', name: id})
      await record.audit(caller, 'sites.setSchedule', site.id, {...schedule, retentionCopies, expireDays})
      const updatedAt = new Date(now).toISOString()
      return tx.sites.save({...site, ...schedule, retentionCopies, expireDays, nextRunAt, updatedAt})
    })
  }

  async #check(site: SiteRecord, name: string): Promise<void> {
    if ((await this.#found(site)).some(({snapshot}) => snapshot === name)) return
    throw problem('not_found', {kind: 'site snapshot', name})
  }

  async #found(site: SiteRecord): Promise<FoundSnapshot[]> {
    const found = await this.#agentOf(site).storage('snapshots.list', await this.#volumeOf(site))
    return found.sort((a, b) => (a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : 0))
  }

  async #volumeOf(site: SiteRecord) {
    const {pool, type, volume} = await this.#parts.volumes.workOf(site)
    return {pool, type, volume}
  }

  #agentOf({nodeId}: SiteRecord) {
    return this.#deps.fleet.agent(nodeId)
  }

  /** With the very commands. */
  async #rehearsed(
    method: 'snapshot.create' | 'snapshot.delete',
    action: string,
    site: SiteRecord,
    snapshot: string,
  ): Promise<Rehearsed> {
    const input = {...(await this.#volumeOf(site)), snapshot}
    const messages = await this.#agentOf(site).storage('plan', {method, input})
    return new Rehearsed({messages, actions: [action]})
  }

  #note(caller: Caller, action: string, {id, name: site}: SiteRecord, snapshot: string): Promise<void> {
    return this.#deps.journal.change((_, record) => record.audit(caller, action, id, {site, snapshot}))
  }

  /** As `2026-01-31T07-05-09Z`. */
  #nameNow(): string {
    return new Date(this.#deps.clock.now()).toISOString().replace(/\.\d+/, '').replaceAll(':', '-')
  }
}

function publicSnapshot({id, name}: SiteRecord, {snapshot, createdAt, usedBytes}: FoundSnapshot): Snapshot {
  return {name: snapshot, site: name, siteId: id, createdAt, usedBytes}
}

/** Sorted, once each, as text; null where days play no part. */
function daysOf(frequency: InputOf<'sites.setSchedule'>['frequency'], days: readonly number[] | undefined) {
  const isWeekly = frequency === 'weekly'
  if (!isWeekly && frequency !== 'monthly') {
    if (days === undefined) return null
    const fix = 'Leave them out, or say weekly or monthly.'
    throw problem('input_invalid', {field: 'days', problem: `play no part when it is ${frequency}`, fix})
  }
  const [first, last] = isWeekly ? [0, 6] : [1, 31]
  if (days?.some(day => day < first || day > last)) {
    const fix = isWeekly ? 'Count from 0 = Monday to 6 = Sunday.' : 'Count from 1 to 31.'
    throw problem('input_invalid', {field: 'days', problem: `are no days of a ${isWeekly ? 'week' : 'month'}`, fix})
  }
  return [...new Set(days ?? [first])].sort((a, b) => a - b).join(',')
}
