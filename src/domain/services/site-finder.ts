import type {Site} from '../../contract/schemas/sites.ts'
import {type Caller, hasRole, seesAll} from '../caller.ts'
import {problem} from '../errors.ts'
import type {NodeRecord, SiteRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import {type Finders, resolve} from './references.ts'

/** `seen`: those on nodes that the caller administers, and the caller's own; or only the ones, or only the others. */
type Reach = 'seen' | 'administered' | 'owned'

/** Which sites a caller sees; all others look absent (T18). */
export class SiteFinder {
  readonly #deps: ServiceDependencies
  readonly #keeping: NodeKeeping

  constructor(deps: ServiceDependencies, keeping: NodeKeeping) {
    this.#deps = deps
    this.#keeping = keeping
  }

  /** A name alone may be that of several sites, unless the node is known. */
  async find(
    reference: string,
    caller: Pick<Caller, 'id' | 'role'>,
    {node, reach = 'seen'}: {node?: NodeRecord; reach?: Reach} = {},
  ): Promise<SiteRecord> {
    const {sites} = this.#deps.store
    const mine = reach === 'owned' && !seesAll(caller) ? [] : await this.#administered(caller)
    const isOwn = (site: SiteRecord) => reach !== 'administered' && site.ownerId === caller.id
    const seen = (site: SiteRecord | undefined) =>
      site && (!mine || mine.includes(site.nodeId) || isOwn(site)) ? site : undefined
    const list = async () => {
      const found = node ? await sites.list({nodeIds: [node.id]}) : await sites.list(filterOf(mine, caller.id))
      return found.filter(seen)
    }
    const finders: Finders<SiteRecord> = {
      kind: 'site',
      byId: async id => seen(await sites.find(id)),
      byNumber: async number => seen(await sites.findByNumber(number)),
      byName: async name => (await list()).filter(site => site.name === name),
      byPrefix: async prefix => (await list()).filter(site => site.id.startsWith(prefix)),
      nameOf: ({id, name}) => ({id, name}),
    }
    return resolve(reference, finders)
  }

  /** As find; throws site_no_volume, site_not_ready. */
  async findVolume(reference: string, caller: Caller, reach: Reach = 'seen'): Promise<SiteRecord & {poolId: string}> {
    return readyVolume(await this.find(reference, caller, {reach}))
  }

  async list(caller: Caller, page: {limit?: number; offset?: number}): Promise<SiteRecord[]> {
    return this.#deps.store.sites.list({...filterOf(await this.#administered(caller), caller.id), ...page})
  }

  async described(records: readonly SiteRecord[]): Promise<Site[]> {
    const {nodes, pools} = this.#deps.store
    const names = new Map<string, string>()
    for (const id of new Set(records.map(({nodeId}) => nodeId))) names.set(id, (await nodes.find(id))?.name ?? '')
    for (const id of new Set(records.map(({poolId}) => poolId ?? ''))) names.set(id, (await pools.find(id))?.name ?? '')
    const nameOf = (id: string | null) => names.get(id ?? '') ?? ''
    return records.map(record => publicSite(record, {node: nameOf(record.nodeId), pool: nameOf(record.poolId)}))
  }

  /** Undefined: all nodes. */
  async #administered(caller: Pick<Caller, 'id' | 'role'>): Promise<string[] | undefined> {
    if (!hasRole(caller, 'node_admin')) return []
    const mine = await this.#keeping.mine(caller)
    return mine && [...mine]
  }
}

export function publicSite(record: SiteRecord, {node, pool}: {node: string; pool: string}): Site {
  const {version: _, enforcedBytes, owner = '', ownerId = null, expireDays = null, ...site} = record
  const quotaState =
    record.poolId === null || enforcedBytes === null
      ? 'counted'
      : enforcedBytes === record.quotaBytes
        ? 'enforced'
        : 'pending'
  return {...site, node, pool: site.poolId === null ? null : pool, owner, ownerId, expireDays, quotaState}
}

/** Throws site_no_volume, site_not_ready. */
export function readyVolume(site: SiteRecord): SiteRecord & {poolId: string} {
  const {name, poolId, status} = site
  if (poolId === null) throw problem('site_no_volume', {name})
  if (status !== 'active') throw problem('site_not_ready', {name, status})
  return {...site, poolId}
}

function filterOf(nodeIds: string[] | undefined, ownerId: string) {
  return nodeIds === undefined ? {} : {nodeIds, ownerId}
}
