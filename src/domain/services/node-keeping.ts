import type {InputOf} from '../../contract/contract.ts'
import type {AssignedNode} from '../../contract/schemas/auth.ts'
import type {NodeQuota, QuotaStatus} from '../../contract/schemas/sites.ts'
import {type Caller, seesAll} from '../caller.ts'
import {problem} from '../errors.ts'
import type {Recorder} from '../journal.ts'
import type {NodeHistory, NodeSample} from '../node-history.ts'
import type {Tables} from '../ports.ts'
import type {NodeRecord, SiteRecord} from '../records.ts'
import {bytesPerGb, quotaUse, withStorageQuota} from '../storage-quota.ts'
import type {ServiceDependencies} from './dependencies.ts'

type FindNode = (reference: string, caller: Caller) => Promise<NodeRecord>

/** A machine as who administers it sees it. */
export interface KeptNode
  extends Pick<NodeRecord, 'id' | 'number' | 'hostname' | 'admission' | 'storageQuotaGb' | 'totalAvailableGb'> {
  /** What the machine said of itself, else where its connection came from. */
  address: string
  /** Of one that waits, for who may approve. */
  code: string | null
  usedBytes: number
  sitesCount: number
  /** Newest first; the last ten minutes. */
  samples: readonly NodeSample[]
}

/** Who administers which node, and what its storage may hold. */
export class NodeKeeping {
  readonly #deps: ServiceDependencies
  readonly #find: FindNode
  readonly #history: NodeHistory

  constructor(deps: ServiceDependencies, parts: {find: FindNode; history: NodeHistory}) {
    this.#deps = deps
    this.#find = parts.find
    this.#history = parts.history
  }

  /** Nodes that the caller administers; undefined = all. */
  async mine(caller: Pick<Caller, 'id' | 'role'>): Promise<ReadonlySet<string> | undefined> {
    return seesAll(caller) ? undefined : new Set(await this.#deps.store.nodeAdmins.nodesOf(caller.id))
  }

  /** As find, and throws node_not_assigned when the node is not one of the caller's. */
  async own(reference: string, caller: Caller): Promise<NodeRecord> {
    return this.#checked(await this.#find(reference, caller), caller)
  }

  /** By id, or number in digits, and nothing else; waiting ones for who may approve. Throws not_found, node_not_assigned. */
  async exactly(reference: string, caller: Caller): Promise<NodeRecord> {
    const {nodes} = this.#deps.store
    const isNumber = /^\d+$/.test(reference)
    const node = isNumber ? await nodes.findByNumber(Number(reference)) : await nodes.find(reference.toLowerCase())
    if (!node || !this.#isShown(node, caller)) throw problem('not_found', {kind: 'node', name: reference})
    return this.#checked(node, caller)
  }

  async list({offset, limit}: {offset: number; limit: number}, caller: Caller): Promise<KeptNode[]> {
    const {store} = this.#deps
    const mine = await this.mine(caller)
    const shown = (await store.nodes.list()).filter(
      node => (mine === undefined || mine.has(node.id)) && this.#isShown(node, caller),
    )
    const totals = await store.sites.totals()
    return shown.slice(offset, offset + limit).map(node => this.#kept(node, totals.get(node.id)))
  }

  async get(reference: string, caller: Caller): Promise<KeptNode & {backupsCount: number}> {
    const {store} = this.#deps
    const node = await this.exactly(reference, caller)
    const backupsCount = await store.backups.count({nodeIds: [node.id]})
    return {...this.#kept(node, (await store.sites.totals()).get(node.id)), backupsCount}
  }

  async quota({id}: InputOf<'nodes.quota'>, caller: Caller): Promise<NodeQuota> {
    return this.#quotaOf(await this.own(id, caller))
  }

  async setQuota(
    {id: reference, storageQuotaGb, totalAvailableGb}: InputOf<'nodes.setQuota'>,
    caller: Caller,
  ): Promise<NodeQuota> {
    const {id} = await this.#find(reference, caller)
    const node = await this.#deps.journal.change(async (tx, record) => {
      const before = await tx.nodes.find(id)
      if (!before) throw problem('not_found', {kind: 'node', name: reference})
      const name = before.name || before.hostname
      const updatedAt = new Date(this.#deps.clock.now()).toISOString()
      const after = await tx.nodes.save({...withStorageQuota(before, storageQuotaGb, totalAvailableGb), updatedAt})
      const available = after.totalAvailableGb
      const words = `${caller.username} set the storage quota of ${name} to ${storageQuotaGb} GB of ${available} GB.`
      await record.event('node', {id, name}, 'QuotaChanged', words, caller.username)
      await record.audit(caller, 'nodes.setQuota', id, {storageQuotaGb, totalAvailableGb: available})
      return after
    })
    return this.#quotaOf(node)
  }

  async quotaStatus({id}: InputOf<'nodes.quotaStatus'>, caller: Caller): Promise<QuotaStatus> {
    const node = await this.own(id, caller)
    const sites = (await this.#deps.store.sites.list({nodeIds: [node.id]})).map(useOfSite)
    sites.sort((one, other) => other.usedBytes - one.usedBytes || one.number - other.number)
    const usedBytes = sites.reduce((sum, site) => sum + site.usedBytes, 0)
    const {usagePercent, isOverQuota} = quotaUse(usedBytes, node.storageQuotaGb * bytesPerGb)
    return {
      nodeId: node.id,
      number: node.number,
      node: node.name || node.hostname,
      hostname: node.hostname,
      storageQuotaGb: node.storageQuotaGb,
      ...{usedBytes, usagePercent, isOverQuota},
      sitesCount: sites.length,
      sitesOverQuota: sites.filter(site => site.isOverQuota).length,
      sitesWarning: sites.filter(site => site.isWarning).length,
      sites: sites.map(({isWarning: _, ...site}) => site),
    }
  }

  async assigned(userId: string): Promise<AssignedNode[]> {
    const {store} = this.#deps
    const ids = new Set(await store.nodeAdmins.nodesOf(userId))
    return (await store.nodes.list()).filter(({id}) => ids.has(id)).map(assignedNode)
  }

  async assign(user: {id: string; username: string}, reference: string, caller: Caller): Promise<AssignedNode> {
    const node = await this.#find(reference, caller)
    return this.#change(user, node, caller, true)
  }

  /** Within the change that makes the user. */
  async give(
    tx: Tables,
    record: Recorder,
    {user, nodes, caller}: {user: {id: string; username: string}; nodes: readonly NodeRecord[]; caller: Caller},
  ): Promise<void> {
    for (const node of nodes) await changeAdmin(tx, record, {user, node, caller, isGiven: true})
  }

  async found(references: readonly string[], caller: Caller): Promise<NodeRecord[]> {
    const found: NodeRecord[] = []
    for (const reference of references) found.push(await this.#find(reference, caller))
    return found
  }

  async unassign(user: {id: string; username: string}, reference: string, caller: Caller): Promise<AssignedNode> {
    const node = await this.#find(reference, caller)
    return this.#change(user, node, caller, false)
  }

  async #change(
    user: {id: string; username: string},
    node: NodeRecord,
    caller: Caller,
    isGiven: boolean,
  ): Promise<AssignedNode> {
    await this.#deps.journal.change((tx, record) => changeAdmin(tx, record, {user, node, caller, isGiven}))
    return assignedNode(node)
  }

  async #quotaOf(node: NodeRecord): Promise<NodeQuota> {
    const {id, name, hostname, storageQuotaGb, totalAvailableGb} = node
    const usedBytes = (await this.#deps.store.sites.totals()).get(id)?.usedBytes ?? 0
    return {nodeId: id, node: name || hostname, storageQuotaGb, totalAvailableGb, usedBytes}
  }

  #kept(node: NodeRecord, total: {sites: number; usedBytes: number} = {sites: 0, usedBytes: 0}): KeptNode {
    const {id, number, hostname, admission, storageQuotaGb, totalAvailableGb} = node
    return {
      ...{id, number, hostname, admission, storageQuotaGb, totalAvailableGb},
      address: node.claimedAddress || node.address,
      code: admission === 'pending' ? node.code : null,
      usedBytes: total.usedBytes,
      sitesCount: total.sites,
      samples: this.#history.of(id),
    }
  }

  /** Requests that wait are shown to who may approve them, while they may be approved. */
  #isShown({admission, codeExpiresAt}: NodeRecord, caller: Caller): boolean {
    if (admission !== 'pending') return true
    return seesAll(caller) && Date.parse(codeExpiresAt ?? '') > this.#deps.clock.now()
  }

  async #checked(node: NodeRecord, caller: Caller): Promise<NodeRecord> {
    const mine = await this.mine(caller)
    if (mine && !mine.has(node.id)) throw problem('node_not_assigned', {name: node.name || node.hostname})
    return node
  }
}

function assignedNode({id, number, name, hostname}: NodeRecord): AssignedNode {
  return {id, number, name: name || hostname}
}

function useOfSite({id, number, name, quotaBytes, usedBytes}: SiteRecord) {
  return {id, number, name, quotaBytes, usedBytes, ...quotaUse(usedBytes, quotaBytes)}
}

interface AdminChange {
  user: {id: string; username: string}
  node: NodeRecord
  caller: Caller
  isGiven: boolean
}

/** The event on the user lets the server look again at the streams that this user has open. */
async function changeAdmin(tx: Tables, record: Recorder, {user, node, caller, isGiven}: AdminChange): Promise<void> {
  const {id, name} = assignedNode(node)
  // Both stay as they are until the row that names them is written.
  const known = (await tx.users.share(user.id)) && (await tx.nodes.find(id))
  if (!known) throw problem('not_found', {kind: 'node', name})
  if (isGiven) await tx.nodeAdmins.assign(user.id, id)
  else await tx.nodeAdmins.unassign(user.id, id)
  const words = `${caller.username} ${isGiven ? 'gave' : 'took'} node ${name} ${isGiven ? 'to' : 'from'} ${user.username}.`
  const type = isGiven ? 'NodeAssigned' : 'NodeUnassigned'
  await record.event('user', {id: user.id, name: user.username}, type, words, caller.username)
  await record.audit(caller, isGiven ? 'users.assign' : 'users.unassign', user.id, {node: id})
}
