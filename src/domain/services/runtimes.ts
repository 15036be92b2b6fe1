import type {Runtime} from '../../contract/schemas/runtimes.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import type {NodeRecord} from '../records.ts'
import {RuntimeMemory} from '../runtime-memory.ts'
import {
  isReady,
  modelsOf,
  type RuntimeBeat,
  type RuntimeLoad,
  type RuntimeRecord,
  type RuntimeState,
  runtimeStatus,
  runtimeTimers,
} from '../runtimes.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {findersAmong, resolve} from './references.ts'
import {type Registered, RuntimeRegistration} from './runtime-registration.ts'
import type {RuntimeTarget, Services} from './services.ts'

type Machine = Pick<NodeRecord, 'name' | 'admission'>

/** Inference runtimes: who they are, whether they may be asked, and what they tell (wire.md section 1). */
export class RuntimeService {
  readonly #deps: ServiceDependencies
  readonly #nodes: Pick<Services['nodes'], 'approve'>
  readonly #memory: RuntimeMemory
  readonly #registration: RuntimeRegistration
  /** As the store has them, so that beats and the proxy do not ask it. */
  readonly #known = new Map<string, RuntimeRecord>()
  readonly #byToken = new Map<string, string>()
  readonly #machines = new Map<string, Machine>()
  readonly #models = new WeakMap<RuntimeRecord, {state: RuntimeState | undefined; models: readonly string[]}>()
  /** To be read again before the next answer. */
  readonly #changedMachines = new Set<string>()
  #loaded: Promise<void> | undefined

  constructor(deps: ServiceDependencies, nodes: Pick<Services['nodes'], 'approve' | 'authenticate'>) {
    this.#deps = deps
    this.#nodes = nodes
    this.#memory = new RuntimeMemory(deps)
    this.#registration = new RuntimeRegistration(deps, nodes)
    deps.journal.subscribe(({kind, objectId}) => {
      if (kind === 'node' && this.#machines.has(objectId)) this.#changedMachines.add(objectId)
    })
  }

  methods(): Services['runtimes'] {
    return {
      register: async (input, caller) => {
        await this.#load()
        const done = await this.#registration.register(input, caller)
        await this.#adopt(done)
        return {runtime: this.#describe(done.record), token: done.token, isNew: done.isNew}
      },
      authenticate: token => this.#authenticate(token),
      beat: (token, id, beat) => this.#beat(token, id, beat),
      list: async ({status}) => {
        await this.#load()
        const all = [...this.#known.values()].sort((a, b) => (a.registeredAt < b.registeredAt ? -1 : 1))
        return all.map(one => this.#describe(one)).filter(one => status === undefined || one.status === status)
      },
      get: async ({id}) => this.#describe(await this.#find(id)),
      approve: ({id}, caller) => this.#approve(id, caller),
      update: (input, caller) => this.#update(input, caller),
      disconnect: ({id}, caller) => this.#disconnect(id, caller),
      delete: ({id}, caller) => this.#delete(id, caller),
      logs: async ({id, tail}) => this.#deps.runtimeProbe.readLogs(await this.#find(id), tail),
      readings: async ({id}) => [...this.#memory.readings((await this.#find(id)).id)],
      requestHistory: () => this.#memory.history(),
      targets: () => this.#targets(),
      knownModels: () => this.#knownModels(),
      exclude: (id, model) => this.#memory.exclude(id, model),
      began: id => this.#memory.began(id),
      waits: () => this.#memory.waits(),
      waiting: () => this.#memory.waiting,
    }
  }

  async maintain(): Promise<void> {
    await this.#load()
    const states = this.#memory.drainUnsaved()
    if (states.length > 0) await this.#deps.store.runtimes.saveStates(states)
  }

  async #find(reference: string): Promise<RuntimeRecord> {
    await this.#load()
    const list = async () => [...this.#known.values()]
    return resolve(reference, findersAmong('runtime', list, nameOf))
  }

  async #authenticate(token: string): Promise<{id: string; name: string}> {
    await this.#load()
    const id = this.#byToken.get(this.#deps.secrets.sha256(token))
    const record = id && this.#known.get(id)
    if (!record) throw problem('token_invalid', {})
    return {id: record.id, name: nameOf(record)}
  }

  /** A token speaks for its own runtime alone (T4). */
  async #beat(token: string, id: string, beat: RuntimeBeat): Promise<void> {
    const owner = await this.#authenticate(token)
    if (owner.id !== id) {
      if (!this.#known.has(id)) throw problem('not_found', {kind: 'runtime', name: id})
      throw problem('token_invalid', {})
    }
    this.#memory.beat(id, beat)
    this.#noteOnline(id)
  }

  async #approve(reference: string, caller: Caller): Promise<Runtime> {
    const {id, nodeId} = await this.#find(reference)
    const isWaiting = (record: RuntimeRecord | undefined) => {
      if (!record) throw problem('not_found', {kind: 'runtime', name: reference})
      if (record.approval !== 'pending') throw problem('runtime_not_pending', {name: nameOf(record)})
      return record
    }
    isWaiting(this.#known.get(id))
    // An administrator's word about that machine, too (rule 7).
    if (nodeId && this.#machines.get(nodeId)?.admission === 'pending') await this.#nodes.approve({node: nodeId}, caller)
    const record = await this.#deps.journal.change(async (tx, note) => {
      const waiting = isWaiting(await tx.runtimes.find(id))
      const name = nameOf(waiting)
      const words = `${caller.username} approved the runtime ${name} at ${waiting.address}, port ${waiting.port}.`
      await note.event('runtime', {id, name}, 'Approved', words, caller.username)
      await note.audit(caller, 'runtimes.approve', id, {name})
      return tx.runtimes.save({...waiting, approval: 'approved', updatedAt: this.#now()})
    })
    return this.#changed(record)
  }

  async #update(
    {id: reference, ...changes}: {id: string} & Partial<Pick<RuntimeRecord, 'customName' | 'tags' | 'notes'>>,
    caller: Caller,
  ): Promise<Runtime> {
    const {id} = await this.#find(reference)
    const record = await this.#deps.journal.change(async (tx, note) => {
      const before = await tx.runtimes.find(id)
      if (!before) throw problem('not_found', {kind: 'runtime', name: reference})
      const after = await tx.runtimes.save({...before, ...changes, updatedAt: this.#now()})
      const named = {id, name: nameOf(after)}
      await note.event('runtime', named, 'Changed', `${caller.username} changed ${named.name}.`, caller.username)
      await note.audit(caller, 'runtimes.update', id, {fields: Object.keys(changes)})
      return after
    })
    return this.#changed(record)
  }

  /** It is away until its next beat. */
  async #disconnect(reference: string, caller: Caller): Promise<Runtime> {
    const record = await this.#find(reference)
    const named = {id: record.id, name: nameOf(record)}
    const words = `${caller.username} disconnected the runtime ${named.name}.`
    await this.#deps.journal.change(async (_, note) => {
      await note.event('runtime', named, 'Disconnected', words, caller.username)
      await note.audit(caller, 'runtimes.disconnect', named.id)
    })
    this.#memory.disconnect(record.id)
    return this.#describe(record)
  }

  async #delete(reference: string, caller: Caller): Promise<{done: true}> {
    const {id} = await this.#find(reference)
    await this.#deps.journal.change(async (tx, note) => {
      const record = await tx.runtimes.find(id)
      if (!record) throw problem('not_found', {kind: 'runtime', name: reference})
      const name = nameOf(record)
      await tx.runtimes.delete(id)
      const words = `${caller.username} deleted the runtime ${name}.`
      await note.event('runtime', {id, name}, 'Deleted', words, caller.username)
      await note.audit(caller, 'runtimes.delete', id, {name})
    })
    this.#forget(id)
    return {done: true}
  }

  /** Asked at every call of a model. */
  async #targets(): Promise<RuntimeTarget[]> {
    await this.#load()
    const targets: RuntimeTarget[] = []
    for (const record of this.#known.values()) {
      if (this.#status(record) !== 'online') continue
      const {id, address, port} = record
      const load = this.#memory.state(id)?.load ?? null
      targets.push({
        ...{id, address, load},
        apiPort: port + 1,
        models: this.#openModels(record),
        isFresh: this.#isFresh(load),
      })
    }
    return targets
  }

  /** Without what is excluded. Records and states are replaced and never changed, so that the list can be kept. */
  #openModels(record: RuntimeRecord): readonly string[] {
    const state = this.#memory.state(record.id)
    const kept = this.#models.get(record)
    if (kept && kept.state === state) return kept.models
    const excluded = new Set(state?.excludedModels)
    const models = modelsOf(record, state).filter(model => !excluded.has(model))
    this.#models.set(record, {state, models})
    return models
  }

  /** Of the approved ones, wherever they are now: a model of one that is away is known, and not ready. */
  async #knownModels(): Promise<{id: string; isReady: boolean}[]> {
    const ready = new Set((await this.#targets()).flatMap(({models}) => models))
    const models = new Set<string>()
    for (const record of this.#known.values()) {
      if (record.approval === 'approved') {
        for (const id of modelsOf(record, this.#memory.state(record.id))) models.add(id)
      }
    }
    return [...models].sort().map(id => ({id, isReady: ready.has(id)}))
  }

  #describe(record: RuntimeRecord): Runtime {
    const {version: _, tokenHash: __, ...shown} = record
    const machine = record.nodeId ? this.#machines.get(record.nodeId) : undefined
    const state = this.#memory.state(record.id)
    const status = this.#status(record)
    return {
      ...shown,
      name: nameOf(record),
      status,
      node: machine?.name ?? '',
      supportedRuntimes: state?.supportedRuntimes.length ? state.supportedRuntimes : record.supportedRuntimes,
      apiPort: record.port + 1,
      lastSeenAt: state?.seenAt ?? record.registeredAt,
      onlineSince: status === 'online' ? (state?.onlineSince ?? null) : null,
      excludedModels: status === 'offline' ? [] : (state?.excludedModels ?? []),
      loaded: state?.loaded ?? {chat: [], embedding: [], asr: [], tts: []},
      initializing: state !== undefined && !isReady(state),
      ready: state?.ready ?? null,
      load: state?.load ?? null,
      isLoadFresh: this.#isFresh(state?.load),
      sync: state?.sync ?? null,
      requests: this.#memory.requests(record.id),
    }
  }

  #isFresh(load: RuntimeLoad | null | undefined): boolean {
    return Boolean(load && this.#deps.clock.now() - Date.parse(load.at) <= runtimeTimers.freshForMs)
  }

  #status({id, approval, nodeId}: RuntimeRecord): Runtime['status'] {
    const state = this.#memory.state(id)
    return runtimeStatus({
      approval,
      admission: nodeId ? this.#machines.get(nodeId)?.admission : undefined,
      ageMs: this.#memory.ageMs(id),
      isReady: state !== undefined && isReady(state),
      onlineForMs: runtimeTimers.onlineForMs,
    })
  }

  /** The approval of its machine may have come with it. */
  async #changed(record: RuntimeRecord): Promise<Runtime> {
    this.#know(record)
    await this.#load()
    this.#noteOnline(record.id)
    return this.#describe(this.#known.get(record.id) ?? record)
  }

  async #adopt({record, readiness}: Registered): Promise<void> {
    this.#memory.registered(record.id, readiness)
    this.#know(record)
    if (record.nodeId) await this.#readMachine(record.nodeId)
  }

  #noteOnline(id: string): void {
    const record = this.#known.get(id)
    if (record) this.#memory.noteOnline(id, this.#status(record) === 'online')
  }

  /** Two changes may arrive here in another order than they were made. */
  #know(record: RuntimeRecord): void {
    const before = this.#known.get(record.id)
    if (before && before.version > record.version) return
    if (before) this.#byToken.delete(before.tokenHash)
    this.#known.set(record.id, record)
    this.#byToken.set(record.tokenHash, record.id)
  }

  #forget(id: string): void {
    const record = this.#known.get(id)
    if (record) this.#byToken.delete(record.tokenHash)
    this.#known.delete(id)
    this.#memory.forget(id)
  }

  async #load(): Promise<void> {
    this.#loaded ??= this.#read().catch(error => {
      this.#loaded = undefined
      throw error
    })
    await this.#loaded
    for (const nodeId of [...this.#changedMachines]) {
      this.#changedMachines.delete(nodeId)
      await this.#readMachine(nodeId)
    }
  }

  async #read(): Promise<void> {
    const {store} = this.#deps
    for (const record of await store.runtimes.list()) this.#know(record)
    this.#memory.restore(await store.runtimes.listStates())
    for (const {nodeId} of this.#known.values()) {
      if (nodeId && !this.#machines.has(nodeId)) await this.#readMachine(nodeId)
    }
  }

  async #readMachine(nodeId: string): Promise<void> {
    const {nodes, runtimes} = this.#deps.store
    try {
      const node = await nodes.find(nodeId)
      if (node) {
        this.#machines.set(nodeId, {name: node.name || node.hostname, admission: node.admission})
        return
      }
      // A deleted node took its runtimes with it; one that was never admitted did not.
      for (const {id} of [...this.#known.values()].filter(one => one.nodeId === nodeId)) {
        const record = await runtimes.find(id)
        if (record) this.#know(record)
        else this.#forget(id)
      }
      this.#machines.delete(nodeId)
    } catch (error) {
      this.#changedMachines.add(nodeId)
      throw error
    }
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}

function nameOf({customName, machineName}: RuntimeRecord): string {
  return customName ?? machineName
}
