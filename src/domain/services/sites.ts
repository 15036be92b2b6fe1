import type {InputOf} from '../../contract/contract.ts'
import type {Backup, QuotaCheck, Site} from '../../contract/schemas/sites.ts'
import {type Caller, hasRole} from '../caller.ts'
import {problem} from '../errors.ts'
import type {SiteRecord} from '../records.ts'
import {newSite} from '../sites.ts'
import {bytesPerGb} from '../storage-quota.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {resolve} from './references.ts'
import type {Services} from './services.ts'
import {SiteSnapshots} from './site-snapshots.ts'
import {type SiteParts, SiteVolumes} from './site-volumes.ts'

/** A node that tells of more has lost its way. */
const mostSites = 10_000
const mostBackups = 100_000

/** The consumers of the nodes' storage, and the backups that were made of them. */
export class SiteService {
  readonly #deps: ServiceDependencies
  readonly #parts: SiteParts

  constructor(deps: ServiceDependencies, parts: SiteParts) {
    this.#deps = deps
    this.#parts = parts
  }

  siteMethods(): Services['sites'] {
    const {store} = this.#deps
    const {finder} = this.#parts
    const volumes = new SiteVolumes(this.#deps, this.#parts)
    const snapshots = new SiteSnapshots(this.#deps, {...this.#parts, volumes})
    return {
      list: async ({node, ...page}, caller) => {
        if (node === undefined) return finder.described(await finder.list(caller, page))
        if (hasRole(caller, 'node_admin'))
          return finder.described(await store.sites.list({nodeIds: await this.#nodeIds(node, caller), ...page}))
        const own = await finder.described(await finder.list(caller, {}))
        const {offset = 0, limit = own.length} = page
        return own.filter(site => [site.node, site.nodeId].includes(node)).slice(offset, offset + limit)
      },
      get: async ({id}, caller) => this.#described(await finder.find(id, caller)),
      create: (input, caller) => volumes.create(input, caller),
      delete: (input, caller) => volumes.delete(input, caller),
      snapshots: (input, caller) => snapshots.list(input, caller),
      snapshot: (input, caller) => snapshots.create(input, caller),
      deleteSnapshot: (input, caller) => snapshots.delete(input, caller),
      setSchedule: async (input, caller) => this.#described(await snapshots.setSchedule(input, caller)),
      restore: (input, caller) => snapshots.restore(input, caller),
      clone: (input, caller) => volumes.clone(input, caller),
      setQuota: async (input, caller) => this.#described(await volumes.setQuota(input, caller)),
      checkQuota: ({id}, caller) => this.#checkQuota(id, caller),
      report: (nodeId, input) => this.#report(nodeId, input),
    }
  }

  backupMethods(): Pick<Services['backups'], 'list' | 'count' | 'get' | 'report'> {
    const {store} = this.#deps
    return {
      list: async ({node, site, limit, offset}, caller) => {
        const nodeIds = await this.#nodeIds(node, caller)
        return store.backups.list({nodeIds, siteId: site && (await this.#siteOn(site, node, caller)), limit, offset})
      },
      count: async ({node, site}, caller) => {
        const nodeIds = await this.#nodeIds(node, caller)
        return store.backups.count({nodeIds, siteId: site && (await this.#siteOn(site, node, caller))})
      },
      get: ({id}, caller) => this.#findBackup(id, caller),
      report: (nodeId, input) => this.#reportBackup(nodeId, input),
    }
  }

  /** Of one node, of the caller's, or undefined: of all. */
  async #nodeIds(reference: string | undefined, caller: Caller): Promise<string[] | undefined> {
    if (reference !== undefined) return [(await this.#parts.keeping.own(reference, caller)).id]
    const mine = await this.#parts.keeping.mine(caller)
    return mine && [...mine]
  }

  /** Throws site_elsewhere when the site is not on that node. */
  async #siteOn(reference: string, node: string | undefined, caller: Caller): Promise<string> {
    const onNode = node === undefined ? undefined : await this.#parts.keeping.own(node, caller)
    const site = await this.#parts.finder.find(reference, caller, {node: onNode, reach: 'administered'})
    if (onNode && site.nodeId !== onNode.id) {
      throw problem('site_elsewhere', {site: site.name, node: onNode.name || onNode.hostname})
    }
    return site.id
  }

  async #findBackup(reference: string, caller: Caller): Promise<Backup> {
    const {backups} = this.#deps.store
    const mine = await this.#parts.keeping.mine(caller)
    const nodeIds = mine && [...mine]
    const seen = (backup: Backup | undefined) => (backup && (!mine || mine.has(backup.nodeId)) ? backup : undefined)
    return resolve(reference, {
      kind: 'backup',
      byId: async id => seen(await backups.find(id)),
      byNumber: async number => seen(await backups.findByNumber(number)),
      byName: async name => (await backups.list({nodeIds})).filter(backup => backup.filename === name),
      byPrefix: async prefix => (await backups.list({nodeIds})).filter(backup => backup.id.startsWith(prefix)),
      nameOf: ({id, filename}) => ({id, name: filename}),
    })
  }

  async #checkQuota(reference: string, caller: Caller): Promise<QuotaCheck> {
    const {store} = this.#deps
    const site = await this.#parts.finder.find(reference, caller)
    const node = await store.nodes.find(site.nodeId)
    if (!node) throw problem('not_found', {kind: 'site', name: reference})
    const made = await store.backups.list({siteId: site.id, limit: 100})
    const nextBackupBytes = made.find(({status}) => status === 'SUCCESS')?.sizeBytes ?? 0
    const nodeUsedBytes = (await store.sites.totals()).get(node.id)?.usedBytes ?? 0
    const nodeQuotaBytes = node.storageQuotaGb * bytesPerGb
    return {
      siteId: site.id,
      usedBytes: site.usedBytes,
      nextBackupBytes,
      siteQuotaBytes: site.quotaBytes,
      ...{nodeUsedBytes, nodeQuotaBytes},
      fitsSite: site.usedBytes + nextBackupBytes <= site.quotaBytes,
      fitsNode: nodeUsedBytes + nextBackupBytes <= nodeQuotaBytes,
    }
  }

  async #report(nodeId: string, {sites}: InputOf<'sites.report'>): Promise<{done: true}> {
    const {journal, secrets} = this.#deps
    await journal.change(async (tx, record) => {
      const node = await tx.nodes.find(nodeId)
      if (!node) throw problem('not_found', {kind: 'node', name: nodeId})
      const known = new Map((await tx.sites.list({nodeIds: [nodeId]})).map(site => [site.name, site]))
      for (const told of sites) {
        const before = known.get(told.name)
        const fields = {usedBytes: told.usedBytes, wpPath: told.wpPath ?? null, dbName: told.dbName ?? null}
        if (before) {
          const isSame =
            before.usedBytes === fields.usedBytes && before.wpPath === fields.wpPath && before.dbName === fields.dbName
          if (!isSame) known.set(told.name, await tx.sites.save({...before, ...fields, updatedAt: this.#now()}))
          continue
        }
        if (known.size >= mostSites) throw problem('too_many', {what: `sites on ${node.name}`, seconds: 3600})
        const made = await tx.sites.insert({
          ...newSite(secrets.uuid(), this.#now()),
          ...fields,
          nodeId,
          name: told.name,
        })
        known.set(told.name, made)
        await record.event('node', {id: nodeId, name: node.name}, 'SiteFound', `${node.name} has site ${told.name}.`)
      }
    })
    return {done: true}
  }

  async #reportBackup(nodeId: string, input: InputOf<'backups.report'>): Promise<Backup> {
    const {journal, secrets} = this.#deps
    return journal.change(async (tx, record) => {
      const node = await tx.nodes.find(nodeId)
      const site = node && (await tx.sites.findByName(nodeId, input.site))
      if (!node || !site) throw problem('not_found', {kind: 'site', name: input.site})
      const at = this.#now()
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
      const identity = {id: secrets.uuid(), createdAt: at}
      const made = await tx.backups.insert({...identity, ...fields, siteId: site.id, site: name, nodeId})
      const words = `${node.name} told of backup ${input.filename} of ${name}: ${input.status}.`
      await record.event('node', {id: nodeId, name: node.name}, 'BackupReported', words, node.name)
      return made
    })
  }

  async #described(site: SiteRecord): Promise<Site> {
    return (await this.#parts.finder.described([site]))[0] as Site
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}

/** Six places, so that text order is time order. */
function inMicroseconds(time: string): string {
  const [seconds = '', parts = ''] = time.replace('Z', '').split('.')
  return `${seconds}.${parts.padEnd(6, '0')}Z`
}
