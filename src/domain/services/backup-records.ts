import type {InputOf} from '../../contract/contract.ts'
import type {Backup} from '../../contract/schemas/sites.ts'
import {type Caller, hasRole} from '../caller.ts'
import {isProblem, problem} from '../errors.ts'
import type {BackupFilter, Reach} from '../ports.ts'
import type {BackupRecord, NodeRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import {resolve} from './references.ts'
import type {Services} from './services.ts'
import type {SiteFinder} from './site-finder.ts'

/** A node that tells of more has lost its way. */
const mostBackups = 100_000

/**
 * What is known of backups: those on nodes that the caller administers, and of the caller's own sites. All others look
 * absent (T18). They outlive their site and their node.
 */
export class BackupRecords {
  readonly #deps: ServiceDependencies
  readonly #parts: {keeping: NodeKeeping; finder: SiteFinder}

  constructor(deps: ServiceDependencies, parts: {keeping: NodeKeeping; finder: SiteFinder}) {
    this.#deps = deps
    this.#parts = parts
  }

  methods(): Pick<Services['backups'], 'list' | 'count' | 'get' | 'report'> {
    const {backups} = this.#deps.store
    return {
      list: async ({limit, offset, ...wanted}, caller) =>
        this.#described(await backups.list({...(await this.#filter(wanted, caller)), limit, offset})),
      count: async (wanted, caller) => backups.count(await this.#filter(wanted, caller)),
      get: async ({id}, caller) => this.#one(await this.find(id, caller)),
      report: async (nodeId, input) => this.#one(await this.#report(nodeId, input)),
    }
  }

  async find(reference: string, caller: Caller): Promise<BackupRecord> {
    const {backups} = this.#deps.store
    const seenBy = await this.#reach(caller)
    const seen = (backup: BackupRecord | undefined) => {
      const isSeen = !seenBy || seenBy.nodeIds.includes(backup?.nodeId ?? '') || backup?.ownerId === seenBy.ownerId
      return isSeen ? backup : undefined
    }
    return resolve(reference, {
      kind: 'backup',
      byId: async id => seen(await backups.find(id)),
      byNumber: async number => seen(await backups.findByNumber(number)),
      byName: async name => (await backups.list({seenBy})).filter(backup => backup.filename === name),
      byPrefix: async prefix => (await backups.list({seenBy})).filter(backup => backup.id.startsWith(prefix)),
      nameOf: ({id, filename}) => ({id, name: filename}),
    })
  }

  /** Undefined: everything. */
  async #reach(caller: Caller): Promise<Reach | undefined> {
    const mine = await this.#parts.keeping.mine(caller)
    return mine && {nodeIds: hasRole(caller, 'node_admin') ? [...mine] : [], ownerId: caller.id}
  }

  async #filter({node, site}: Pick<InputOf<'backups.list'>, 'node' | 'site'>, caller: Caller): Promise<BackupFilter> {
    const seenBy = await this.#reach(caller)
    const known = node === undefined ? undefined : await this.#nodeOf(node, caller)
    const nodeIds = node === undefined ? undefined : known ? [known.id] : await this.#nodesCalled(node, seenBy, caller)
    if (site === undefined) return {seenBy, nodeIds}
    return {seenBy, nodeIds, siteIds: await this.#sitesCalled(site, {known, seenBy, nodeIds}, caller)}
  }

  /** Undefined: it is gone, or the caller administers none. Throws node_not_assigned. */
  async #nodeOf(reference: string, caller: Caller): Promise<NodeRecord | undefined> {
    if (!hasRole(caller, 'node_admin')) return undefined
    return this.#parts.keeping.own(reference, caller).catch(unlessAbsent)
  }

  /** Nodes of backups that the caller sees; they may be gone. Throws not_found for who administers nodes. */
  async #nodesCalled(reference: string, seenBy: Reach | undefined, caller: Caller): Promise<string[]> {
    const seen = await this.#described(await this.#deps.store.backups.list({seenBy}))
    const found = seen.filter(({node, nodeId}) => [node, nodeId].includes(reference))
    if (found.length === 0 && hasRole(caller, 'node_admin')) throw problem('not_found', {kind: 'node', name: reference})
    return [...new Set(found.map(({nodeId}) => nodeId))]
  }

  /** Also sites that are gone and left backups. Throws not_found, site_elsewhere. */
  async #sitesCalled(
    reference: string,
    {known, ...filter}: {known: NodeRecord | undefined} & BackupFilter,
    caller: Caller,
  ): Promise<string[]> {
    const site = await this.#parts.finder.find(reference, caller, known ? {node: known} : {}).catch(unlessAbsent)
    if (site && known && site.nodeId !== known.id) {
      throw problem('site_elsewhere', {site: site.name, node: known.name || known.hostname})
    }
    if (site) return [site.id]
    const left = (await this.#deps.store.backups.list(filter)).filter(one => [one.site, one.siteId].includes(reference))
    if (left.length === 0) throw problem('not_found', {kind: 'site', name: reference})
    return [...new Set(left.map(({siteId}) => siteId))]
  }

  async #report(nodeId: string, input: InputOf<'backups.report'>): Promise<BackupRecord> {
    const {journal, secrets, clock} = this.#deps
    return journal.change(async (tx, record) => {
      const node = await tx.nodes.find(nodeId)
      const site = node && (await tx.sites.findByName(nodeId, input.site))
      if (!node || !site) throw problem('not_found', {kind: 'site', name: input.site})
      const at = new Date(clock.now()).toISOString()
      const {provider = null, checksum = null, site: name, ...told} = input
      const fields = {...told, provider, checksum, takenAt: inMicroseconds(input.takenAt), updatedAt: at}
      const before = await tx.backups.findByFilename(site.id, input.filename)
      const isNewest = input.status === 'SUCCESS' && fields.takenAt > (site.lastBackupAt ?? '')
      if (isNewest) await tx.sites.save({...site, lastBackupAt: fields.takenAt, updatedAt: at})
      if (before) {
        const after = {...before, ...fields}
        await tx.backups.save(after)
        return after
      }
      if ((await tx.backups.count({nodeIds: [nodeId]})) >= mostBackups) {
        throw problem('too_many', {what: `backups on ${node.name}`, seconds: 3600})
      }
      const made = await tx.backups.insert({
        ...{id: secrets.uuid(), createdAt: at, ...fields},
        ...{siteId: site.id, site: name, nodeId, node: node.name},
        ...(site.ownerId === undefined ? {} : {ownerId: site.ownerId}),
      })
      const words = `${node.name} told of backup ${input.filename} of ${name}: ${input.status}.`
      await record.event('node', {id: nodeId, name: node.name}, 'BackupReported', words, node.name)
      return made
    })
  }

  async #one(record: BackupRecord): Promise<Backup> {
    return (await this.#described([record]))[0] as Backup
  }

  async #described(records: readonly BackupRecord[]): Promise<Backup[]> {
    const nodes = new Map<string, NodeRecord | undefined>()
    for (const id of new Set(records.map(({nodeId}) => nodeId))) nodes.set(id, await this.#deps.store.nodes.find(id))
    return records.map(({format: _, snapshot: __, origin: ___, ownerId: ____, ...backup}) => {
      const node = nodes.get(backup.nodeId)
      return {...backup, node: node?.name || node?.hostname || backup.node || '', isNodeGone: node === undefined}
    })
  }
}

function unlessAbsent(error: unknown): undefined {
  if (isProblem(error) && error.kind === 'not_found') return undefined
  throw error
}

/** Six places, so that text order is time order. */
function inMicroseconds(time: string): string {
  const [seconds = '', parts = ''] = time.replace('Z', '').split('.')
  return `${seconds}.${parts.padEnd(6, '0')}Z`
}
