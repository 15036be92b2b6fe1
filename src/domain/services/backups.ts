import type {InputOf} from '../../contract/contract.ts'
import type {Task} from '../../contract/schemas/tasks.ts'
import {chainOf, superseded} from '../backup-retention.ts'
import {openTarget, pathIn} from '../backup-target.ts'
import type {Caller} from '../caller.ts'
import {isProblem, problem} from '../errors.ts'
import type {Tables} from '../ports.ts'
import {
  type BackupWork,
  createBackup,
  type DeletionWork,
  deleteBackup,
  type RestoreWork,
  restoreBackup,
  verifyBackup,
} from '../recipes/backup-recipes.ts'
import type {BackupRecord, NodeRecord, PoolRecord, SiteRecord} from '../records.ts'
import {nextRun} from '../site-schedule.ts'
import {publicTask, type Recipe} from '../task.ts'
import {BackupPlaces, type MadeBackup, type WorkingNode} from './backup-places.ts'
import type {BackupRecords} from './backup-records.ts'
import type {BackupTargetService} from './backup-targets.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import type {PoolService} from './pools.ts'
import type {Services} from './services.ts'
import {readyVolume, type SiteFinder} from './site-finder.ts'
import {checkRoom, claimNames} from './site-volumes.ts'
import type {TaskService} from './tasks.ts'

interface BackupParts {
  keeping: NodeKeeping
  finder: SiteFinder
  records: BackupRecords
  tasks: TaskService
  pools: PoolService
  targets: BackupTargetService
}

type Begun = {task: Task}

/** Backups of sites that are volumes: made, read again, restored, deleted; each is a task. */
export class BackupService {
  readonly #deps: ServiceDependencies
  readonly #parts: BackupParts
  readonly #places: BackupPlaces

  constructor(deps: ServiceDependencies, parts: BackupParts) {
    this.#deps = deps
    this.#parts = parts
    this.#places = new BackupPlaces(deps, parts)
  }

  methods(): Pick<Services['backups'], 'create' | 'openContent' | 'verify' | 'restore' | 'delete'> {
    return {
      create: (input, caller) => this.#create(input, caller),
      openContent: (input, caller, signal) => this.#openContent(input, caller, signal),
      verify: ({id}, caller) => this.#verify(id, caller),
      restore: (input, caller) => this.#restore(input, caller),
      delete: (input, caller) => this.#delete(input, caller),
    }
  }

  async #create(input: InputOf<'backups.create'>, caller: Caller): Promise<Begun> {
    const {clock, secrets} = this.#deps
    const {site, node, pool} = await this.#volumeOf(input.site, caller)
    const target = await this.#parts.targets.find(input.target)
    const earlier = (await this.#deps.store.backups.list({siteIds: [site.id]})).filter(
      one => one.targetId === target.id,
    )
    const format = input.incremental ? 'send' : 'tar'
    await this.#checkAble(pool, {format, site: site.name})
    const base = format === 'send' ? await this.#baseAmong(earlier, {site, pool}) : undefined
    const takenAt = new Date(clock.now()).toISOString().replace('Z', '000Z')
    const backupId = secrets.uuid()
    const filename = nameOf(site.name, {takenAt, backupId, format})
    const work: BackupWork = {
      ...{backupId, site, targetId: target.id, provider: target.name, path: pathIn(target, filename), filename},
      ...{nodeId: node.id, node: node.name, pool: pool.name, type: pool.type, volume: site.name},
      ...{takenAt, snapshot: `backup-${backupId.slice(0, 8)}`, format},
      ...{baseId: base?.id ?? null, since: base?.snapshot ?? null},
      ...superseded(earlier, {format, keep: site.retentionCopies - 1, base}),
    }
    return this.#begin(createBackup, work, {node, caller})
  }

  async #openContent({id, offset = 0}: InputOf<'backups.download'>, caller: Caller, signal: AbortSignal) {
    const {backup} = await this.#places.made(id, caller)
    const {filename, sizeBytes, targetId} = backup
    if (offset > sizeBytes) {
      const fix = `It has ${sizeBytes} bytes.`
      throw problem('input_invalid', {field: 'offset', problem: 'is beyond its end', fix})
    }
    const {store, vault, fleet, journal} = this.#deps
    const node = await this.#places.reader(backup)
    const details = {filename, node: node.name, offset}
    await journal.change((_, record) => record.audit(caller, 'backups.download', backup.id, details))
    const part = {target: await openTarget({store, vault}, targetId), filename, offset}
    return {filename, bytes: sizeBytes - offset, content: await fleet.agent(node.id).readBackup(part, signal)}
  }

  async #verify(reference: string, caller: Caller): Promise<Begun> {
    const {backup, pieces} = await this.#places.made(reference, caller)
    const node = await this.#places.reader(backup)
    return this.#begin(
      verifyBackup,
      {nodeId: node.id, node: node.name, filename: backup.filename, pieces},
      {node, caller},
    )
  }

  async #restore(input: InputOf<'backups.restore'>, caller: Caller): Promise<Begun> {
    const {backup, pieces} = await this.#places.made(input.id, caller)
    const {pool, node} = await this.#places.destination(backup, input, caller)
    const known = await this.#deps.store.sites.findByName(node.id, input.site)
    if (known) checkSame(known, {backup, pool, confirm: input.confirm})
    const nowMs = this.#deps.clock.now()
    const at = new Date(nowMs).toISOString()
    const next = nextRun(backup.origin, nowMs)
    const siteId = known?.id ?? this.#deps.secrets.uuid()
    const work: RestoreWork = {
      ...{nodeId: node.id, node: node.name, pool: pool.name, type: pool.type, volume: input.site},
      ...{siteId, isNew: !known, quotaBytes: known?.quotaBytes ?? backup.origin.quotaBytes},
      ...{filename: backup.filename, format: backup.format, pieces},
    }
    const site: Omit<SiteRecord, 'number'> = {
      ...{...backup.origin, id: siteId, createdAt: at, updatedAt: at, version: 0, name: input.site},
      ...{nodeId: node.id, poolId: pool.id, status: 'creating', lastBackupAt: null},
      nextRunAt: next === null ? null : new Date(next).toISOString(),
    }
    const prepare = known ? (tx: Tables) => beginRestoring(tx, known) : (tx: Tables) => addSite(tx, site)
    return this.#begin(restoreBackup, work, {node, caller, prepare})
  }

  async #delete({id, confirm}: InputOf<'backups.delete'>, caller: Caller): Promise<Begun> {
    const {backup} = await this.#places.administered(id, caller)
    const {filename, targetId, siteId, origin} = backup
    if (confirm !== filename) throw problem('confirmation_missing', {kind: 'backup', name: filename})
    const later = (await this.#deps.store.backups.list({siteIds: [siteId]})).find(({baseId}) => baseId === backup.id)
    if (later) throw problem('backup_in_use', {name: filename, later: later.filename})
    const pool = origin.poolId ? await this.#deps.store.pools.find(origin.poolId) : undefined
    const home = await this.#places.home(backup)
    const node = home ?? (await this.#places.reader(backup).catch(unlessOutOfReach)) ?? {id: '', name: ''}
    const work: DeletionWork = {
      ...{nodeId: node.id, node: node.name, id: backup.id, targetId, filename, snapshot: backup.snapshot ?? null},
      ...(home && pool ? {pool: pool.name, type: pool.type, volume: backup.site} : {}),
    }
    return this.#begin(deleteBackup, work, {node, caller})
  }

  async #begin<I extends object>(
    recipe: Recipe<I>,
    input: I,
    {node, caller, prepare}: {node: WorkingNode; caller: Caller; prepare?: (tx: Tables) => Promise<unknown>},
  ): Promise<Begun> {
    const task = await this.#deps.journal.change(async (tx, record) => {
      await prepare?.(tx)
      return this.#parts.tasks.submit({tx, record}, {recipe, input, node: node.name, caller})
    })
    this.#parts.tasks.start(task)
    return {task: publicTask(task)}
  }

  /** A site that is a volume, of a node that the caller administers. */
  async #volumeOf(reference: string, caller: Caller): Promise<{site: SiteRecord; node: NodeRecord; pool: PoolRecord}> {
    const site = await this.#parts.finder.find(reference, caller)
    const node = await this.#parts.keeping.own(site.nodeId, caller)
    const pool = site.poolId ? await this.#deps.store.pools.find(site.poolId) : undefined
    if (!pool) throw problem('site_without_volume', {name: site.name})
    return {site, node, pool}
  }

  /** A node that is away is asked by the task. */
  async #checkAble({name, type, nodeId}: PoolRecord, {format, site}: {format: BackupWork['format']; site: string}) {
    if (!this.#deps.fleet.connected(nodeId)) return
    const found = await this.#deps.fleet.agent(nodeId).storage('pools.list', {})
    const facts = found.find(one => one.pool === name && one.type === type)?.facts
    if (facts && !facts.snapshots) {
      const [words, fix] = [
        `${site} lies on a ${type} pool, which has no snapshots to back up`,
        'Use a pool of another type.',
      ]
      throw problem('input_invalid', {field: 'site', problem: words, fix})
    }
    if (facts && !facts.send && format === 'send') {
      const words = `cannot be: ${site} lies on a ${type} pool, which sends no differences`
      throw problem('input_invalid', {field: 'incremental', problem: words, fix: 'Leave it out: all is packed then.'})
    }
  }

  /** The newest one whose snapshot is still there, and which does not build on as many as the site keeps. */
  async #baseAmong(
    earlier: readonly BackupRecord[],
    {site, pool}: {site: SiteRecord; pool: PoolRecord},
  ): Promise<BackupRecord | undefined> {
    const newest = earlier.find(({format}) => format === 'send')
    if (!newest?.snapshot || chainOf(newest, earlier).length >= site.retentionCopies) return undefined
    const volume = {pool: pool.name, type: pool.type, volume: site.name}
    const there = await this.#deps.fleet.agent(site.nodeId).storage('snapshots.list', volume)
    return there.some(({snapshot}) => snapshot === newest.snapshot) ? newest : undefined
  }
}

function unlessOutOfReach(error: unknown): undefined {
  if (isProblem(error) && error.code === 'backup_out_of_reach') return undefined
  throw error
}

function checkSame(
  site: SiteRecord,
  {backup, pool, confirm}: {backup: MadeBackup; pool: PoolRecord; confirm: string | undefined},
): void {
  if (site.id !== backup.siteId || site.poolId !== pool.id) throw problem('name_taken', {kind: 'site', name: site.name})
  if (confirm !== site.name) throw problem('confirmation_missing', {kind: 'site', name: site.name})
  if (backup.format === 'tar') return
  const fix = 'Give the name of a new site.'
  throw problem('input_invalid', {field: 'site', problem: 'is there, and a stream makes a new site', fix})
}

/** Written first: who mounts it at this moment waits, and then finds it changing. */
async function beginRestoring(tx: Tables, {id, name}: SiteRecord): Promise<void> {
  const site = await tx.sites.find(id)
  if (!site) throw problem('not_found', {kind: 'site', name})
  await tx.sites.save({...readyVolume(site), status: 'restoring'})
  const mounts = await tx.sites.mountedBy(id)
  if (mounts.length > 0) throw problem('site_in_use', {name, claims: claimNames(mounts)})
}

async function addSite(tx: Tables, site: Omit<SiteRecord, 'number'>): Promise<void> {
  const {name, nodeId, poolId, quotaBytes} = site
  const node = await tx.nodes.find(nodeId)
  const pool = await tx.pools.find(poolId ?? '')
  if (!node || pool?.state !== 'ready') throw problem('not_found', {kind: 'pool', name: pool?.name ?? name})
  await checkRoom(tx, node, {name, quotaBytes: 0}, quotaBytes)
  // The node's row counts up with each quota on it, so that two of them do not both see the same room.
  await tx.nodes.save(node)
  await tx.sites.insert(site)
}

/** As `shop_20251227_082204_1f0c2a.tar.zst`. */
function nameOf(
  site: string,
  {takenAt, backupId, format}: {takenAt: string; backupId: string; format: BackupWork['format']},
): string {
  const [day = '', time = ''] = takenAt.split('T')
  const stamp = `${day.replaceAll('-', '')}_${time.slice(0, 8).replaceAll(':', '')}`
  const ending = format === 'tar' ? 'tar.zst' : 'zfs.zst'
  return `${site.replaceAll(/\.{2,}/g, '.')}_${stamp}_${backupId.slice(0, 6)}.${ending}`
}
