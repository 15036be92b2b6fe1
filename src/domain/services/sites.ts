import type {InputOf} from '../../contract/contract.ts'
import type {Backup, QuotaCheck, Site} from '../../contract/schemas/sites.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import type {Tables} from '../ports.ts'
import type {NodeRecord, SiteRecord} from '../records.ts'
import {bytesPerGb, inGb, siteQuotaBytes} from '../storage-quota.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import {type Finders, resolve} from './references.ts'
import type {Services} from './services.ts'

/** A node that tells of more has lost its way. */
const mostSites = 10_000
const mostBackups = 100_000

/** The consumers of the nodes' storage, and the backups that were made of them. */
export class SiteService {
  readonly #deps: ServiceDependencies
  readonly #keeping: NodeKeeping

  constructor(deps: ServiceDependencies, keeping: NodeKeeping) {
    this.#deps = deps
    this.#keeping = keeping
  }

  siteMethods(): Services['sites'] {
    const {store} = this.#deps
    return {
      list: async ({node, limit, offset}, caller) =>
        this.#described(await store.sites.list({nodeIds: await this.#nodeIds(node, caller), limit, offset})),
      get: async ({id}, caller) => this.#describedOne(await this.#find(id, caller)),
      setQuota: (input, caller) => this.#setQuota(input, caller),
      checkQuota: ({id}, caller) => this.#checkQuota(id, caller),
      report: (nodeId, input) => this.#report(nodeId, input),
    }
  }

  backupMethods(): Services['backups'] {
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
    if (reference !== undefined) return [(await this.#keeping.own(reference, caller)).id]
    const mine = await this.#keeping.mine(caller)
    return mine && [...mine]
  }

  /** Throws site_elsewhere when the site is not on that node. */
  async #siteOn(reference: string, node: string | undefined, caller: Caller): Promise<string> {
    const onNode = node === undefined ? undefined : await this.#keeping.own(node, caller)
    const site = await this.#find(reference, caller, onNode)
    if (onNode && site.nodeId !== onNode.id) {
      throw problem('site_elsewhere', {site: site.name, node: onNode.name || onNode.hostname})
    }
    return site.id
  }

  /** What is on foreign nodes looks absent (T18). A name alone may be that of several sites, unless the node is known. */
  async #find(reference: string, caller: Caller, node?: NodeRecord): Promise<SiteRecord> {
    const {sites} = this.#deps.store
    const mine = await this.#keeping.mine(caller)
    const seen = (site: SiteRecord | undefined) => (site && (!mine || mine.has(site.nodeId)) ? site : undefined)
    const nodeIds = node ? [node.id] : mine && [...mine]
    const finders: Finders<SiteRecord> = {
      kind: 'site',
      byId: async id => seen(await sites.find(id)),
      byNumber: async number => seen(await sites.findByNumber(number)),
      byName: async name => (await sites.list({nodeIds})).filter(site => site.name === name),
      byPrefix: async prefix => (await sites.list({nodeIds})).filter(site => site.id.startsWith(prefix)),
      nameOf: ({id, name}) => ({id, name}),
    }
    return resolve(reference, finders)
  }

  async #findBackup(reference: string, caller: Caller): Promise<Backup> {
    const {backups} = this.#deps.store
    const mine = await this.#keeping.mine(caller)
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

  async #setQuota({id: reference, quotaBytes}: InputOf<'sites.setQuota'>, caller: Caller): Promise<Site> {
    const {id, nodeId} = await this.#find(reference, caller)
    const site = await this.#deps.journal.change(async (tx, record) => {
      // The node's row counts up with each change of a quota on it, so that two of them do not both see the same room.
      const node = await tx.nodes.find(nodeId)
      const before = await tx.sites.find(id)
      if (!node || !before) throw problem('not_found', {kind: 'site', name: reference})
      await checkRoom(tx, node, before, quotaBytes)
      if (quotaBytes > before.quotaBytes) await tx.nodes.save(node)
      const after = await tx.sites.save({...before, quotaBytes, updatedAt: this.#now()})
      const words = `${caller.username} set the quota of site ${after.name} to ${inGb(quotaBytes)} GB.`
      await record.event('node', {id: nodeId, name: node.name}, 'SiteQuotaChanged', words, caller.username)
      await record.audit(caller, 'sites.setQuota', id, {quotaBytes})
      return after
    })
    return this.#describedOne(site)
  }

  async #checkQuota(reference: string, caller: Caller): Promise<QuotaCheck> {
    const {store} = this.#deps
    const site = await this.#find(reference, caller)
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

  async #described(records: SiteRecord[]): Promise<Site[]> {
    const ids = new Set(records.map(({nodeId}) => nodeId))
    const names = new Map<string, string>()
    for (const id of ids) names.set(id, (await this.#deps.store.nodes.find(id))?.name ?? '')
    return records.map(({version: _, ...site}) => ({...site, node: names.get(site.nodeId) ?? ''}))
  }

  async #describedOne(site: SiteRecord): Promise<Site> {
    return (await this.#described([site]))[0] as Site
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}

/** The quotas of all sites of a node fit into that of the node; a smaller one than before always does. */
async function checkRoom(tx: Tables, node: NodeRecord, site: SiteRecord, askedBytes: number): Promise<void> {
  if (askedBytes <= site.quotaBytes) return
  const others = ((await tx.sites.totals()).get(node.id)?.quotaBytes ?? 0) - site.quotaBytes
  const leftBytes = Math.max(0, node.storageQuotaGb * bytesPerGb - others)
  if (askedBytes <= leftBytes) return
  throw problem('site_over_quota', {asked: inGb(askedBytes), left: inGb(leftBytes), node: node.name || node.hostname})
}

function newSite(id: string, at: string): Omit<SiteRecord, 'number' | 'nodeId' | 'name' | 'usedBytes'> {
  return {
    ...{id, createdAt: at, updatedAt: at, version: 0},
    poolId: null,
    quotaBytes: siteQuotaBytes,
    wpPath: null,
    dbName: null,
    status: 'active',
    scheduleFrequency: 'manual',
    scheduleTime: null,
    scheduleDays: null,
    retentionCopies: 10,
    nextRunAt: null,
    lastBackupAt: null,
  }
}

/** Six places, so that text order is time order. */
function inMicroseconds(time: string): string {
  const [seconds = '', parts = ''] = time.replace('Z', '').split('.')
  return `${seconds}.${parts.padEnd(6, '0')}Z`
}
