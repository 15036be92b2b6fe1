import type {InputOf} from '../../contract/contract.ts'
import type {QuotaCheck, Site} from '../../contract/schemas/sites.ts'
import {type Caller, hasRole} from '../caller.ts'
import {problem} from '../errors.ts'
import type {SiteRecord} from '../records.ts'
import {newSite} from '../sites.ts'
import {bytesPerGb} from '../storage-quota.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'
import {SiteSnapshots} from './site-snapshots.ts'
import {type SiteParts, SiteVolumes} from './site-volumes.ts'

/** A node that tells of more has lost its way. */
const mostSites = 10_000

/** The consumers of the nodes' storage. */
export class SiteService {
  readonly #deps: ServiceDependencies
  readonly #parts: SiteParts

  constructor(deps: ServiceDependencies, parts: SiteParts) {
    this.#deps = deps
    this.#parts = parts
  }

  methods(): Services['sites'] {
    const {store} = this.#deps
    const {finder, keeping} = this.#parts
    const volumes = new SiteVolumes(this.#deps, this.#parts)
    const snapshots = new SiteSnapshots(this.#deps, {...this.#parts, volumes})
    return {
      list: async ({node, ...page}, caller) => {
        if (node === undefined) return finder.described(await finder.list(caller, page))
        if (hasRole(caller, 'node_admin'))
          return finder.described(await store.sites.list({nodeIds: [(await keeping.own(node, caller)).id], ...page}))
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

  async #checkQuota(reference: string, caller: Caller): Promise<QuotaCheck> {
    const {store} = this.#deps
    const site = await this.#parts.finder.find(reference, caller)
    const node = await store.nodes.find(site.nodeId)
    if (!node) throw problem('not_found', {kind: 'site', name: reference})
    const made = await store.backups.list({siteIds: [site.id], limit: 100})
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

  async #described(site: SiteRecord): Promise<Site> {
    return (await this.#parts.finder.described([site]))[0] as Site
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}
