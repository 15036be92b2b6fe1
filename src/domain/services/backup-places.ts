import type {InputOf} from '../../contract/contract.ts'
import {type Caller, hasRole} from '../caller.ts'
import {problem} from '../errors.ts'
import type {PieceWork} from '../recipes/backup-recipes.ts'
import type {BackupRecord, PoolRecord} from '../records.ts'
import type {BackupRecords} from './backup-records.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import type {PoolService} from './pools.ts'

interface PlaceParts {
  keeping: NodeKeeping
  records: BackupRecords
  pools: PoolService
}

/** A node, as work on backups needs it. */
export interface WorkingNode {
  id: string
  name: string
}

export type MadeBackup = BackupRecord &
  Required<Pick<BackupRecord, 'targetId' | 'format' | 'origin'>> & {checksum: string}

/** Which node gets at a backup's files, and where its site may be made again. */
export class BackupPlaces {
  readonly #deps: ServiceDependencies
  readonly #parts: PlaceParts

  constructor(deps: ServiceDependencies, parts: PlaceParts) {
    this.#deps = deps
    this.#parts = parts
  }

  /** One that was made here, with what it builds on, the first one first. Throws backup_foreign. */
  async made(reference: string, caller: Caller): Promise<{backup: MadeBackup; pieces: PieceWork[]}> {
    const backup = await this.#parts.records.find(reference, caller)
    if (!isMade(backup)) throw problem('backup_foreign', {name: backup.filename, path: backup.path})
    const pieces: PieceWork[] = []
    for (let next: BackupRecord | undefined = backup; next; ) {
      if (!isMade(next)) throw problem('backup_foreign', {name: next.filename, path: next.path})
      const {id, targetId, filename, sizeBytes, checksum} = next
      pieces.unshift({id, targetId, filename, sizeBytes, checksum})
      next = next.baseId ? await this.#deps.store.backups.find(next.baseId) : undefined
    }
    return {backup, pieces}
  }

  /** As made, of a node that the caller administers; of one that is gone: of who sees all. */
  async administered(reference: string, caller: Caller): Promise<{backup: MadeBackup}> {
    const {backup} = await this.made(reference, caller)
    const mine = await this.#parts.keeping.mine(caller)
    if (mine && !mine.has(backup.nodeId)) throw problem('not_found', {kind: 'backup', name: reference})
    return {backup}
  }

  /** The node that made it; undefined when it is gone. */
  async home({nodeId}: BackupRecord): Promise<WorkingNode | undefined> {
    const node = await this.#deps.store.nodes.find(nodeId)
    return node && {id: node.id, name: node.name || node.hostname}
  }

  /** Who reads it: the node that made it, or, when that is away and it lies in a bucket, any other. Throws backup_out_of_reach. */
  async reader(backup: MadeBackup): Promise<WorkingNode> {
    const home = await this.home(backup)
    const {fleet} = this.#deps
    if (home && fleet.connected(home.id)) return home
    const other = await this.#anyFor(backup)
    const found = other ?? home
    if (found) return found
    throw problem('backup_out_of_reach', {
      ...{name: backup.filename, path: backup.path},
      node: backup.node || backup.nodeId,
    })
  }

  /** Another node that answers, for what lies in a bucket; one with pools before one without. */
  async #anyFor({targetId}: MadeBackup): Promise<WorkingNode | undefined> {
    const {store, fleet} = this.#deps
    if ((await store.backupTargets.find(targetId))?.type !== 's3') return undefined
    const withPools = new Set((await store.pools.list()).map(({nodeId}) => nodeId))
    const nodes = (await store.nodes.list({admission: 'active'})).filter(({id}) => fleet.connected(id))
    const found = nodes.find(({id}) => withPools.has(id)) ?? nodes[0]
    return found && {id: found.id, name: found.name || found.hostname}
  }

  /** Where its site is made again. Who administers no node brings it back where it was, and under its name. */
  async destination(
    backup: MadeBackup,
    {site, node: nodeReference, pool: poolReference}: InputOf<'backups.restore'>,
    caller: Caller,
  ): Promise<{pool: PoolRecord; node: WorkingNode}> {
    const {keeping, pools} = this.#parts
    if (nodeReference !== undefined) {
      const node = await keeping.own(nodeReference, caller)
      return {node, pool: await pools.on(node, poolReference, caller)}
    }
    if (poolReference !== undefined) {
      const pool = await pools.find(poolReference, caller)
      return {pool, node: await keeping.own(pool.nodeId, caller)}
    }
    const {poolId, name} = backup.origin
    const pool = poolId ? await this.#deps.store.pools.find(poolId) : undefined
    const node = pool && (await this.#deps.store.nodes.find(pool.nodeId))
    if (!pool || !node) throw problem('backup_homeless', {name: backup.filename})
    const mine = await keeping.mine(caller)
    const isAdministered = hasRole(caller, 'node_admin') && (!mine || mine.has(node.id))
    if (isAdministered || site === name) return {pool, node}
    const fix = `Give ${name}, or ask who administers node ${node.name}.`
    throw problem('input_invalid', {field: 'site', problem: 'is not the name of the site that it was made of', fix})
  }
}

function isMade(backup: BackupRecord): backup is MadeBackup {
  return Boolean(backup.targetId && backup.format && backup.origin && backup.checksum)
}
