import type {Report, SnapshotName} from '../../contract/agent-protocol.ts'
import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Node, NodeStats} from '../../contract/schemas/nodes.ts'
import {type Caller, hasRole} from '../caller.ts'
import {isProblem, problem} from '../errors.ts'
import {describeNode, describeReading, type NodeView, statusWord} from '../node.ts'
import {NodeHistory, type NodeSample} from '../node-history.ts'
import {cardsUsed} from '../offers.ts'
import type {NodeRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {drainNode} from './drains.ts'
import {Joining} from './joining.ts'
import {Machines} from './machines.ts'
import {blockNode, deleteNode, setSchedulable} from './node-changes.ts'
import {NodeKeeping} from './node-keeping.ts'
import {type Finders, resolve} from './references.ts'
import type {Services} from './services.ts'

type Known = Pick<NodeRecord, 'id' | 'number' | 'name' | 'hostname' | 'address' | 'admission'>

export class NodeService {
  readonly #deps: ServiceDependencies
  readonly #joining: Joining
  readonly #history: NodeHistory
  /** Who administers which node, and their storage. */
  readonly keeping: NodeKeeping
  readonly #machines: Machines
  /** SHA-256 of a node key → its node: beats do not ask the store. */
  readonly #keys = new Map<string, {id: string; name: string}>()
  /** Active nodes, for the streams. */
  readonly #active = new Map<string, Known>()
  #loaded: Promise<void> | undefined

  constructor(deps: ServiceDependencies) {
    this.#deps = deps
    this.#history = new NodeHistory(deps)
    this.keeping = new NodeKeeping(deps, {
      find: (reference, caller) => this.find(reference, caller),
      history: this.#history,
    })
    this.#machines = new Machines(deps)
    this.#joining = new Joining(deps, {
      describe: (node, caller) => this.#described(node, caller),
      keyChanged: id => this.#forgetKeys(id),
      admitted: node => this.#know(node),
      dropped: id => this.#forgetNode(id),
    })
  }

  methods(): Omit<Services['nodes'], 'examine' | 'repair' | 'upgrade'> {
    const {memory} = this.#deps
    return {
      join: (input, peer) => this.#joining.join(input, peer),
      register: (input, peer) => this.#joining.register(input, peer),
      metrics: async ({id}, caller) => this.#metrics(await this.find(id, caller)),
      joinStatus: (input, peer) => this.#joining.status(input, peer),
      approve: (input, caller) => this.#joining.approve(input, caller),
      reject: (input, caller) => this.#joining.reject(input, caller),
      requestStatus: (number, peer) => this.#joining.requestStatus(number, peer),
      approveCode: (input, caller) => this.#joining.approveCode(input, caller),
      reportLoad: async (nodeId, load) => this.#takeLoad(nodeId, load),
      machine: () => this.#machine(),
      mine: caller => this.keeping.mine(caller),
      kept: (page, caller) => this.keeping.list(page, caller),
      keptOne: (reference, caller) => this.keeping.get(reference, caller),
      quota: (input, caller) => this.keeping.quota(input, caller),
      setQuota: (input, caller) => this.keeping.setQuota(input, caller),
      quotaStatus: (input, caller) => this.keeping.quotaStatus(input, caller),
      authenticate: key => this.#authenticate(key),
      beat: async (nodeId, beat) => this.#takeBeat(nodeId, beat),
      linkOpened: nodeId => this.#linkOpened(nodeId),
      linkClosed: (nodeId, reason) => this.#linkClosed(nodeId, reason),
      report: (nodeId, report) => this.#report(nodeId, report),
      readings: () => [...this.#active.values()].map(node => describeReading(node, memory)),
      reading: nodeId => this.#reading(nodeId),
      resolve: async (reference, caller) => {
        const {id, name, hostname} = await this.find(reference, caller)
        return {id, name: name || hostname}
      },
      list: (input, caller) => this.#list(input, caller),
      get: async ({id}, caller) => this.#described(await this.find(id, caller), caller),
      add: (input, caller) => this.#add(input, caller),
      update: (input, caller) => this.#update(input, caller),
      test: async ({id}, caller) => this.#machines.ask(await this.find(id, caller)),
      pingEngine: nodeId => this.#pingEngine(nodeId),
      withEngines: async () => (await this.#deps.store.nodes.list({admission: 'active'})).flatMap(engineIds),
      cordon: ({id, reason = ''}, caller) => this.#setSchedulable(id, false, reason, caller),
      block: (input, caller) => this.#block(input, caller),
      drain: (input, caller) => this.#drain(input, caller),
      uncordon: ({id}, caller) => this.#setSchedulable(id, true, '', caller),
      delete: (input, caller) => this.#delete(input, caller),
    }
  }

  async maintain(): Promise<void> {
    const {memory, store} = this.#deps
    await this.#load()
    const beats = memory.drainUnsaved()
    if (beats.length > 0) await store.nodes.saveBeats(beats)
    await this.#joining.sweep()
  }

  /** By uuid, number, name or beginning of the uuid; pending ones by their hostname, for who may approve. */
  find(reference: string, caller?: Caller): Promise<NodeRecord> {
    const {nodes} = this.#deps.store
    const mayApprove = caller === undefined || hasRole(caller, 'super_admin')
    const seen = (node: NodeRecord | undefined) =>
      node && (mayApprove || node.admission !== 'pending') ? node : undefined
    const finders: Finders<NodeRecord> = {
      kind: 'node',
      byId: async id => seen(await nodes.find(id)),
      byNumber: async number => seen(await nodes.findByNumber(number)),
      byName: async name => {
        const active = await nodes.findActiveByName(name)
        if (active) return [active]
        const blocked = await nodes.list({admission: 'blocked'})
        const others = mayApprove ? [...(await nodes.list({admission: 'pending'})), ...blocked] : blocked
        return others.filter(node => node.hostname === name || node.code === name.toUpperCase())
      },
      byPrefix: async prefix => (await nodes.list()).filter(node => node.id.startsWith(prefix) && seen(node)),
      nameOf: ({id, name, hostname}) => ({id, name: name || hostname}),
    }
    return resolve(reference, finders)
  }

  async #list({status, pending, listed, name}: InputOf<'nodes.list'>, caller: Caller): Promise<Node[]> {
    const {store} = this.#deps
    const mayApprove = hasRole(caller, 'super_admin')
    const admission = pending || status === 'pending' ? 'pending' : undefined
    if (admission && !mayApprove) return []
    const records = await store.nodes.list(admission && {admission})
    const live = await store.allocations.listLive()
    const used = cardsUsed(live, records)
    const held = new Map<string, number>()
    for (const {nodeId} of live) held.set(nodeId, (held.get(nodeId) ?? 0) + 1)
    const now = this.#now()
    const names = new Set(records.filter(node => node.admission === 'active').map(({name}) => name))
    const described: Node[] = []
    for (const node of records) {
      if (node.admission === 'pending' && (!mayApprove || (node.codeExpiresAt ?? '') <= now)) continue
      const nameTaken =
        node.admission === 'pending' &&
        (admission ? (await store.nodes.findActiveByName(node.hostname)) !== undefined : names.has(node.hostname))
      const view = {gpusUsed: used.get(node.id) ?? 0, held: held.get(node.id) ?? 0, mayApprove, nameTaken}
      described.push(this.#describe(node, view))
    }
    return described.filter(
      node =>
        (status === undefined || node.status === status) &&
        (listed === undefined || node.listed === listed) &&
        (name === undefined || node.name.includes(name)),
    )
  }

  async #described(node: NodeRecord, caller: Caller): Promise<Node> {
    const {store} = this.#deps
    const live = await store.allocations.listLive(node.id)
    const gpusUsed = cardsUsed(live, [node]).get(node.id) ?? 0
    const nameTaken = node.admission === 'pending' && (await store.nodes.findActiveByName(node.hostname)) !== undefined
    return this.#describe(node, {
      ...{gpusUsed, held: live.length, nameTaken},
      mayApprove: hasRole(caller, 'super_admin'),
    })
  }

  #describe(node: NodeRecord, view: Omit<NodeView, 'connected' | 'engine'>): Node {
    const {memory, fleet} = this.#deps
    const shown = node.admission === 'pending' && node.name === '' ? {...node, name: node.hostname} : node
    const engine = this.#machines.answerOf(node)
    return describeNode(shown, memory, {...view, engine, connected: fleet.connected(node.id)})
  }

  async #add(input: InputOf<'nodes.add'>, caller: Caller): Promise<Node> {
    const node = await this.#machines.add(input, caller)
    this.#know(node)
    return this.#described(node, caller)
  }

  async #update({id, ...input}: InputOf<'nodes.update'>, caller: Caller): Promise<Node> {
    const node = await this.#machines.update(await this.find(id, caller), input, caller)
    this.#forgetKeys(node.id)
    this.#know(node)
    return this.#described(node, caller)
  }

  async #setSchedulable(reference: string, schedulable: boolean, reason: string, caller: Caller): Promise<Node> {
    const node = await this.keeping.own(reference, caller)
    const after = await setSchedulable(this.#deps, {node, schedulable, reason}, caller)
    this.#deps.wake('queue', `node:${node.id}`)
    return this.#described(after, caller)
  }

  async #drain({id, ...input}: InputOf<'nodes.drain'>, caller: Caller): Promise<OutputOf<'nodes.drain'>> {
    const {wake} = this.#deps
    const node = await this.keeping.own(id, caller)
    const {after, work} = await drainNode(this.#deps, {node, ...input}, caller)
    if (!input.dryRun) {
      wake('queue', `node:${node.id}`)
      wake('drain', node.id)
    }
    return {node: await this.#described(after, caller), work}
  }

  /** Its key opens nothing until it is approved again, and its host name cannot join. Its work is that of a lost node. */
  async #block({id: reference, reason = ''}: InputOf<'nodes.block'>, caller: Caller): Promise<Node> {
    const node = await this.find(reference, caller)
    const after = await blockNode(this.#deps, {node, reason}, caller)
    this.#forgetKeys(node.id)
    this.#joining.forget(node.id)
    this.#active.delete(node.id)
    this.#deps.wake('queue', `node:${node.id}`)
    return this.#described(after, caller)
  }

  /** Its key is worth nothing from now on, and its work goes elsewhere or is given up. */
  async #delete({id: reference, confirm}: InputOf<'nodes.delete'>, caller: Caller): Promise<{done: true}> {
    const node = await this.find(reference, caller)
    const {wake} = this.#deps
    const claimIds = await deleteNode(this.#deps, {node, confirm}, caller)
    this.#joining.forget(node.id)
    this.#forgetNode(node.id)
    this.#machines.forget(node.id)
    wake('queue', `node:${node.id}`)
    wake('node', node.id)
    for (const claimId of claimIds) wake('queue', `claim:${claimId}`)
    return {done: true}
  }

  async #pingEngine(nodeId: string): Promise<void> {
    const node = await this.#deps.store.nodes.find(nodeId)
    if (node) await this.#machines.ask(node)
  }

  async #authenticate(nodeKey: string): Promise<{id: string; name: string; isApproved: boolean}> {
    const {secrets, store, journal} = this.#deps
    const keyHash = secrets.sha256(nodeKey)
    const known = this.#keys.get(keyHash)
    if (known) return {...known, isApproved: true}
    const node = nodeKey.startsWith('gpn_') ? await store.nodes.findByKeyHash(keyHash) : undefined
    if (!node || node.admission === 'blocked') throw problem('token_invalid', {})
    if (node.suspendedReason) throw problem('node_suspended', {reason: node.suspendedReason})
    if (node.admission === 'pending') return {id: node.id, name: node.hostname, isApproved: false}
    if (node.keyUsedAt === null) {
      const isOurs = await journal.change(async tx => {
        const now = await tx.nodes.find(node.id)
        // A newer key may have been fetched meanwhile.
        if (now?.keyHash !== keyHash) return false
        if (now.keyUsedAt === null) await tx.nodes.save({...now, keyUsedAt: this.#now()})
        return true
      })
      if (!isOurs) throw problem('token_invalid', {})
    }
    const found = {id: node.id, name: node.name}
    this.#keys.set(keyHash, found)
    this.#know(node)
    return {...found, isApproved: true}
  }

  #takeBeat(nodeId: string, beat: InputOf<'nodes.beat'>): void {
    const {memory, wake} = this.#deps
    const {taken, changed} = memory.takeBeat(nodeId, beat)
    if (changed) wake('queue', `node:${nodeId}`)
    if (!taken) return
    const {cpuPercent = null, diskPercent = null} = beat
    this.#history.add(nodeId, {cpuPercent, diskPercent, activeBackups: beat.activeBackups ?? 0})
  }

  #takeLoad(nodeId: string, load: Omit<NodeSample, 'atMs'>): void {
    const {memory, wake} = this.#deps
    if (memory.takeLoad(nodeId, load).changed) wake('queue', `node:${nodeId}`)
    this.#history.add(nodeId, load)
  }

  /** A node with the host name of this machine whose connection came from this machine is this machine. */
  #machine(): ReturnType<Services['nodes']['machine']> {
    const reading = this.#deps.machine?.()
    if (!reading) return undefined
    const isLocal = ({hostname, address}: Known) => hostname === reading.hostname && /^(127\.|::1$)/.test(address)
    return {...reading, nodeId: [...this.#active.values()].find(isLocal)?.id}
  }

  async #linkOpened(nodeId: string): Promise<void> {
    const {memory, store, wake} = this.#deps
    memory.linkOpened(nodeId)
    memory.touch(nodeId)
    const node = await store.nodes.find(nodeId)
    if (node) this.#know(node)
    wake('queue', `node:${nodeId}`)
  }

  /** Of an active one. */
  nameOf(id: string): string | undefined {
    return this.#active.get(id)?.name
  }

  async #linkClosed(nodeId: string, reason: string): Promise<void> {
    const {memory, wake, journal} = this.#deps
    memory.linkClosed(nodeId)
    wake('queue', `node:${nodeId}`)
    wake('node', nodeId)
    const name = this.#active.get(nodeId)?.name
    if (name === undefined) return
    await journal.change((_, record) =>
      record.event('node', {id: nodeId, name}, 'Disconnected', `${name}: ${reason}`, name),
    )
  }

  async #report(nodeId: string, report: Report): Promise<void> {
    const {memory, wake} = this.#deps
    if (report.type === 'beat') return this.#takeBeat(nodeId, report.beat)
    if (report.type === 'instances') {
      const hadTold = memory.hasTold(nodeId)
      for (const claimId of memory.takeReports(nodeId, report.instances, report.complete, report.desiredRevision)) {
        wake('claim', claimId)
      }
      if (!hadTold) wake('queue', `node:${nodeId}`)
      return
    }
    if (report.type === 'volumes') return this.#forgetVolumes(nodeId, report.gone)
    if (report.type === 'snapshots') return this.#forgetSnapshots(nodeId, report.gone)
    memory.touch(nodeId)
    await this.#saveInventory(nodeId, report.inventory, report.type === 'hello')
    wake('queue', `node:${nodeId}`)
    if (report.type === 'hello') wake('node', `opened:${nodeId}:${report.desiredRevision}`)
  }

  /** The node has removed them. */
  async #forgetVolumes(nodeId: string, gone: readonly string[]): Promise<void> {
    await this.#deps.journal.change(async tx => {
      for (const name of gone) await tx.volumes.forget(nodeId, name)
    })
    this.#deps.wake('node', nodeId)
  }

  async #forgetSnapshots(nodeId: string, gone: readonly SnapshotName[]): Promise<void> {
    await this.#deps.journal.change(async tx => {
      for (const {snapshotId} of gone) await tx.instanceSnapshots.forget(nodeId, snapshotId)
    })
    this.#deps.wake('node', nodeId)
  }

  async #saveInventory(
    nodeId: string,
    inventory: NonNullable<NodeRecord['inventory']>,
    isHello: boolean,
  ): Promise<void> {
    await this.#deps.journal.change(async (tx, record) => {
      const node = await tx.nodes.find(nodeId)
      if (!node) return
      if (isHello) {
        const words = `${node.name} is connected: ${inventory.runtime} ${inventory.runtimeVersion}, ${inventory.gpus.length} GPUs.`
        await record.event('node', {id: nodeId, name: node.name}, 'Connected', words, node.name)
      }
      if (JSON.stringify(withoutReadings(node.inventory)) === JSON.stringify(withoutReadings(inventory))) return
      const {agentVersion, os} = inventory
      await tx.nodes.save({...node, inventory, agentVersion, os, updatedAt: this.#now()})
    })
  }

  /** What its agent measures, as the agent says it. Throws node_not_online, node_failed. */
  async #metrics(node: NodeRecord): Promise<OutputOf<'nodes.metrics'>> {
    const {fleet, memory} = this.#deps
    const name = node.name || node.hostname
    const status = statusWord(node.admission, memory.liveness(node.id))
    if (status !== 'online' || !fleet.connected(node.id)) {
      throw problem('node_not_online', {name, status: status === 'online' ? 'not connected' : status})
    }
    try {
      return await fleet.agent(node.id).metrics(node.id)
    } catch (error) {
      if (!isProblem(error) || error.code === 'node_failed') throw error
      throw problem('node_failed', {name, reason: 'its agent did not answer.'}, {cause: error})
    }
  }

  #reading(nodeId: string): NodeStats | undefined {
    const node = this.#active.get(nodeId)
    return node && describeReading(node, this.#deps.memory)
  }

  #know({id, number, name, hostname, address, admission}: NodeRecord): void {
    if (admission === 'active') this.#active.set(id, {id, number, name, hostname, address, admission})
  }

  #forgetNode(nodeId: string): void {
    this.#forgetKeys(nodeId)
    this.#active.delete(nodeId)
    this.#deps.memory.forgetNode(nodeId)
    this.#history.forget(nodeId)
  }

  #forgetKeys(nodeId: string): void {
    for (const [hash, {id}] of this.#keys) if (id === nodeId) this.#keys.delete(hash)
  }

  #load(): Promise<void> {
    this.#loaded ??= this.#deps.store.nodes.list({admission: 'active'}).then(
      nodes => {
        for (const node of nodes) this.#know(node)
      },
      error => {
        this.#loaded = undefined
        throw error
      },
    )
    return this.#loaded
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}

/** What changes with every reading is not worth a write. */
function withoutReadings(inventory: NodeRecord['inventory']): unknown {
  return (
    inventory && {
      ...inventory,
      gpus: inventory.gpus.map(({index, uuid, model, memoryMiB}) => ({index, uuid, model, memoryMiB})),
    }
  )
}

function engineIds({id, docker}: NodeRecord): string[] {
  return docker?.address ? [id] : []
}
