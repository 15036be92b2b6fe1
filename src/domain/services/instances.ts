import type {InputOf} from '../../contract/contract.ts'
import type {Claim, ClaimSpec} from '../../contract/schemas/claims.ts'
import type {Instance} from '../../contract/schemas/instances.ts'
import {allocationId} from '../allocation.ts'
import type {Caller} from '../caller.ts'
import {isFinal} from '../claim.ts'
import {isProblem, problem} from '../errors.ts'
import type {Recorder} from '../journal.ts'
import {catalogueFinders} from './catalogue.ts'
import type {ClaimService} from './claims.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {InstanceAccess} from './instance-access.ts'
import {InstanceStreams, shellExec} from './instance-streams.ts'
import {type Finders, ownerSeen, resolve} from './references.ts'
import type {InstancePage, Services} from './services.ts'

type Change = (claim: Claim, instance: Instance) => {claim?: Claim; instance: Instance} | undefined

export class InstanceService {
  readonly #deps: ServiceDependencies
  readonly #claims: ClaimService
  readonly #streams: InstanceStreams
  readonly #access: InstanceAccess

  constructor(deps: ServiceDependencies, claims: ClaimService, sessions: Pick<Services['sessions'], 'open'>) {
    this.#deps = deps
    this.#claims = claims
    const get = (reference: string, caller: Caller) => this.#get(reference, caller)
    this.#streams = new InstanceStreams(deps, sessions, get)
    this.#access = new InstanceAccess({deps, get, locate: instance => this.#streams.container(instance)})
  }

  methods(): Services['instances'] {
    const streams = this.#streams
    const access = this.#access
    return {
      list: (input, caller) => this.#list(input, caller),
      page: (input, caller) => this.#page(input, caller),
      get: ({id}, caller) => this.#get(id, caller),
      create: (input, caller) => this.#create(input, caller),
      start: ({id}, caller) => this.#start(id, caller),
      stop: ({id, graceSeconds}, caller) => this.#stop(id, caller, graceSeconds),
      restart: ({id, graceSeconds}, caller) => this.#restart(id, caller, graceSeconds),
      delete: ({id}, caller) => this.#delete(id, caller),
      openLogs: (input, caller, signal) => streams.openLogs(input, caller, signal),
      followLogs: async (input, after, caller, signal) => streams.followLogs(input, after, caller, signal),
      openStats: ({id}, caller, signal) => streams.openStats(id, caller, signal),
      openExec: (input, caller, session) => streams.openExec(input, caller, session),
      openShell: async (input, caller, session) => streams.openExec(shellExec(input), caller, session),
      openForward: (input, caller) => access.openForward(input, caller),
      statPath: (input, caller) => access.statPath(input, caller),
      readArchive: (input, caller, signal) => access.readArchive(input, caller, signal),
      writeArchive: (input, content, caller) => access.writeArchive(input, content, caller),
    }
  }

  async #list(
    {status, all, finished, name, limit, offset}: InputOf<'instances.list'>,
    caller: Caller,
  ): Promise<Instance[]> {
    const ownerId = all && ownerSeen(caller) === undefined ? undefined : caller.id
    const live = finished || status === 'exited' || status === 'failed' || status === 'deleting' ? undefined : true
    const statuses = status === undefined || status === 'unknown' ? undefined : [status]
    const found = await this.#deps.store.instances.list({ownerId, live, statuses, name, limit: limit ?? 100, offset})
    const shown = found.map(instance => this.#shown(instance))
    return status === undefined ? shown : shown.filter(instance => instance.status === status)
  }

  async #page({limit, offset, ...filter}: InstancePage, caller: Caller): Promise<{list: Instance[]; total: number}> {
    const {instances} = this.#deps.store
    const wanted = {...filter, ownerId: ownerSeen(caller), deleted: false}
    const list = await instances.list({...wanted, limit, offset})
    return {list: list.map(instance => this.#shown(instance)), total: await instances.count(wanted)}
  }

  async #get(reference: string, caller: Pick<Caller, 'id' | 'role'>): Promise<Instance> {
    return this.#shown(await this.#find(reference, caller))
  }

  #find(reference: string, caller: Pick<Caller, 'id' | 'role'>): Promise<Instance> {
    const {instances} = this.#deps.store
    const ownerId = ownerSeen(caller)
    const seen = (one: Instance | undefined) =>
      one && (ownerId === undefined || one.ownerId === ownerId) ? one : undefined
    const finders: Finders<Instance> = {
      kind: 'instance',
      byId: async id => seen(await instances.find(id)),
      byNumber: async number => seen(await instances.findByNumber(number)),
      byName: async name => {
        const own = await instances.list({ownerId: caller.id, live: true, name, limit: 2})
        if (own.length > 0) return own
        const live = await instances.list({ownerId, live: true, name, limit: 3})
        return live.length > 0 ? live : instances.list({ownerId, name, limit: 1})
      },
      byPrefix: prefix => instances.findByPrefix(prefix, ownerId, 3),
      nameOf: ({id, name}) => ({id, name}),
    }
    return resolve(reference, finders)
  }

  /** `unknown` is derived: its node is not heard. What a pull has come to is known from the node. */
  #shown(instance: Instance): Instance {
    const {memory, secrets} = this.#deps
    const {nodeId, status} = instance
    if (!nodeId) return instance
    if (status !== 'creating' && status !== 'running' && status !== 'stopping') return instance
    const liveness = memory.liveness(nodeId)
    if (liveness === 'stale' || liveness === 'offline')
      return {...instance, status: 'unknown', reason: `${instance.node} is ${liveness}`}
    if (status !== 'creating' || instance.reason) return instance
    const report = memory.report(allocationId(instance.claimId, instance.epoch, secrets))
    if (report?.state !== 'pulling') return instance
    return {...instance, reason: report.progress === null ? 'Pulling' : `Pulling ${Math.round(report.progress)} %`}
  }

  async #create(input: InputOf<'instances.create'>, caller: Caller): Promise<Instance> {
    const {store} = this.#deps
    const shape = await resolve(input.spec, catalogueFinders('spec', store.specs))
    const address = await resolve(input.image, catalogueFinders('image', store.images)).then(
      image => image.address,
      error => {
        if (isProblem(error, 'not_found')) return input.image
        throw error
      },
    )
    const perCardMiB = shape.gpuCount > 0 ? Math.floor((shape.gpuMemoryGiB * 1024) / shape.gpuCount) : 0
    const spec: ClaimSpec = {
      image: address,
      gpus: {
        count: shape.gpuCount,
        ...(shape.gpuModel ? {model: shape.gpuModel} : {}),
        ...(perCardMiB > 0 && !shape.memorySplit ? {minMemoryMiB: perCardMiB} : {}),
      },
      ...(shape.cpus > 0 ? {cpus: shape.cpus} : {}),
      ...(shape.memoryGiB > 0 ? {memoryMiB: shape.memoryGiB * 1024} : {}),
    }
    const {name, node, command, env, labels, restart, remark} = input
    const own = Object.fromEntries(
      Object.entries({name, node, command, env, labels, restart}).filter(([, value]) => value !== undefined),
    )
    const {instance} = await this.#claims.submit({...spec, ...own}, caller, {remark})
    return this.#shown(instance)
  }

  #start(reference: string, caller: Caller): Promise<Instance> {
    return this.#power(reference, caller, 'start', (claim, instance) => {
      if (instance.desired === 'running') return undefined
      return this.#begun(claim, instance)
    })
  }

  #restart(reference: string, caller: Caller, graceSeconds?: number): Promise<Instance> {
    return this.#power(reference, caller, 'restart', (claim, instance) => this.#begun(claim, instance), graceSeconds)
  }

  /** It keeps its GPUs (rule 3). */
  #stop(reference: string, caller: Caller, graceSeconds?: number): Promise<Instance> {
    const change: Change = (_, instance) => {
      if (instance.desired === 'stopped') return undefined
      return {instance: {...instance, desired: 'stopped', status: 'stopping', reason: ''}}
    }
    return this.#power(reference, caller, 'stop', change, graceSeconds)
  }

  #begun(claim: Claim, instance: Instance): ReturnType<Change> {
    return {
      claim: {...claim, status: {...claim.status, reason: '', attempts: 0}},
      instance: {...instance, desired: 'running', restarts: instance.restarts + 1, status: 'creating', reason: ''},
    }
  }

  /** The last acknowledged command decides: each sees what the one before left (F15). */
  async #power(
    reference: string,
    caller: Caller,
    verb: string,
    change: Change,
    graceSeconds?: number,
  ): Promise<Instance> {
    const {id, name} = await this.#find(reference, caller)
    const {journal, memory, secrets, wake} = this.#deps
    const at = this.#now()
    const instance = await journal.change(async (tx, record) => {
      const instance = await tx.instances.find(id)
      const claim = instance && (await tx.claims.find(instance.claimId))
      if (!claim || !instance) throw problem('not_found', {kind: 'instance', name: reference})
      if (isFinal(claim.status.phase)) throw problem('instance_finished', {name, status: instance.status})
      if (claim.status.phase === 'Pending') throw problem('instance_not_running', {name, status: 'waiting for GPUs'})
      const next = change(claim, instance)
      if (!next) return instance
      if (next.claim) await tx.claims.save({...next.claim, updatedAt: at})
      const saved = await tx.instances.save({...next.instance, updatedAt: at})
      await this.#note(record, saved, verb, caller)
      return saved
    })
    if (graceSeconds !== undefined) {
      memory.setGrace(allocationId(instance.claimId, instance.epoch, secrets), graceSeconds)
    }
    wake('node', instance.nodeId)
    wake('claim', instance.claimId)
    return this.#shown(instance)
  }

  /** A live one gives its GPUs back; of a finished one the kept container goes. */
  async #delete(reference: string, caller: Caller): Promise<{done: true}> {
    const {id, claimId} = await this.#find(reference, caller)
    const {journal, wake, store} = this.#deps
    const claim = await store.claims.find(claimId)
    if (claim && !isFinal(claim.status.phase)) {
      await this.#claims.cancel(claimId, caller)
      return {done: true}
    }
    const instance = await journal.change(async (tx, record) => {
      const instance = await tx.instances.find(id)
      if (!instance || instance.desired === 'deleted') return instance
      const isThere = instance.containerId !== '' && instance.nodeId !== '' && (await tx.nodes.find(instance.nodeId))
      const status = isThere ? ('deleting' as const) : ('exited' as const)
      const saved = await tx.instances.save({...instance, desired: 'deleted', status, updatedAt: this.#now()})
      await this.#note(record, saved, 'delete', caller)
      return saved
    })
    if (instance?.nodeId) wake('node', instance.nodeId)
    return {done: true}
  }

  async #note(record: Recorder, instance: Instance, verb: string, caller: Caller): Promise<void> {
    const type = {start: 'StartAsked', stop: 'StopAsked', restart: 'RestartAsked'}[verb] ?? 'DeleteAsked'
    await record.event('instance', instance, type, `${caller.username}: ${verb} ${instance.name}.`, caller.username)
    await record.audit(caller, `instances.${verb}`, instance.id, {name: instance.name})
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}
