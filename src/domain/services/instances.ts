import type {InputOf} from '../../contract/contract.ts'
import type {Image, Spec} from '../../contract/schemas/catalogue.ts'
import type {Claim} from '../../contract/schemas/claims.ts'
import type {Instance, MatchedNode} from '../../contract/schemas/instances.ts'
import {allocationId} from '../allocation.ts'
import {type Caller, seesAll} from '../caller.ts'
import {isFinal} from '../claim.ts'
import {isProblem, problem} from '../errors.ts'
import type {Recorder} from '../journal.ts'
import {entryOf, isSplit, needsOf} from '../product.ts'
import {catalogueFinders} from './catalogue.ts'
import type {ClaimService} from './claims.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {InstanceAccess} from './instance-access.ts'
import {updateInstance} from './instance-changes.ts'
import {InstanceReadings} from './instance-readings.ts'
import {InstanceSnapshots} from './instance-snapshots.ts'
import {InstanceStreams, shellExec} from './instance-streams.ts'
import {matchNodes} from './matching.ts'
import {type Finders, ownerSeen, resolve} from './references.ts'
import type {InstancePage, Services} from './services.ts'
import type {TaskService} from './tasks.ts'

type Change = (claim: Claim, instance: Instance) => {claim?: Claim; instance: Instance} | undefined

interface InstanceParts {
  claims: ClaimService
  sessions: Pick<Services['sessions'], 'open'>
  tasks: TaskService
}

export class InstanceService {
  readonly #deps: ServiceDependencies
  readonly #claims: ClaimService
  readonly #streams: InstanceStreams
  readonly #access: InstanceAccess
  readonly #readings: InstanceReadings
  readonly #snapshots: InstanceSnapshots

  constructor(deps: ServiceDependencies, {claims, sessions, tasks}: InstanceParts) {
    this.#deps = deps
    this.#claims = claims
    const get = (reference: string, caller: Caller) => this.#get(reference, caller)
    this.#snapshots = new InstanceSnapshots(deps, {tasks, get: (reference, caller) => this.#get(reference, caller)})
    this.#streams = new InstanceStreams(deps, sessions, get)
    this.#readings = new InstanceReadings(deps)
    this.#access = new InstanceAccess({deps, get, locate: instance => this.#streams.container(instance)})
  }

  methods(): Services['instances'] {
    const streams = this.#streams
    const access = this.#access
    const snapshots = this.#snapshots
    return {
      list: (input, caller) => this.#list(input, caller),
      page: (input, caller) => this.#page(input, caller),
      get: ({id}, caller) => this.#get(id, caller),
      create: (input, caller) => this.#create(input, caller),
      update: (input, caller) => this.#update(input, caller),
      match: (input, caller) => this.#match(input, caller),
      start: ({id}, caller) => this.#start(id, caller),
      stop: ({id, graceSeconds}, caller) => this.#stop(id, caller, graceSeconds),
      restart: ({id, graceSeconds}, caller) => this.#restart(id, caller, graceSeconds),
      delete: (input, caller) => this.#delete(input, caller),
      snapshots: (input, caller) => snapshots.list(input, caller),
      snapshot: (input, caller) => snapshots.create(input, caller),
      restore: async (input, caller) => this.#shown(await snapshots.restore(input, caller)),
      deleteSnapshot: (input, caller) => snapshots.delete(input, caller),
      openLogs: (input, caller, signal) => streams.openLogs(input, caller, signal),
      followLogs: async (input, after, caller, signal) => streams.followLogs(input, after, caller, signal),
      openStats: ({id}, caller, signal) => streams.openStats(id, caller, signal),
      latest: (instance, caller) =>
        this.#readings.latest(instance, (id, signal) => streams.openStats(id, caller, signal)),
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

  /** A claim with the figures of the spec. Throws input_invalid where image and spec do not go together. */
  async #create(input: InputOf<'instances.create'>, caller: Caller): Promise<Instance> {
    const {spec, image, name, node, command, env, labels, restart, volumes, remark, noQueue} = input
    const product = await this.#product(spec, caller)
    const {address, entry} = await this.#image(image, product, caller)
    const own = Object.fromEntries(
      Object.entries({name, node, command, env, labels, restart, volumes, noQueue}).filter(
        ([, value]) => value !== undefined,
      ),
    )
    const made = {
      remark,
      catalogueImage: entry && entryOf(entry),
      catalogueSpec: entryOf(product),
      pricePerHour: product.pricePerHour,
    }
    const {instance} = await this.#claims.submit({image: address, ...needsOf(product), ...own}, caller, made)
    return this.#shown(instance)
  }

  async #product(reference: string, caller: Caller): Promise<Spec> {
    const spec = await resolve(reference, catalogueFinders('spec', this.#deps.store.specs))
    if (!spec.listed && !seesAll(caller)) throw notOffered('spec', spec.name)
    return spec
  }

  /** An entry of the catalogue, or an address as it is. */
  async #image(reference: string, product: Spec, caller: Caller): Promise<{address: string; entry?: Image}> {
    const {images} = this.#deps.store
    const entry = await resolve(reference, catalogueFinders('image', images)).catch(error => {
      if (isProblem(error, 'not_found')) return undefined
      throw error
    })
    if (entry && !entry.listed && !seesAll(caller)) throw notOffered('image', entry.name)
    if (isSplit(product) && !entry?.memorySplit) {
      const fix = `Choose an image that can, or a spec of whole GPUs: ${product.name} sells parts of them.`
      throw problem('input_invalid', {field: 'image', problem: 'cannot run on a part of a GPU.', fix})
    }
    return {address: entry?.address ?? reference, entry}
  }

  async #match({spec, all = false}: InputOf<'instances.match'>, caller: Caller): Promise<MatchedNode[]> {
    const found = await matchNodes(this.#deps, await this.#product(spec, caller))
    return all ? found : found.filter(({fits}) => fits)
  }

  async #update({id: reference, ...change}: InputOf<'instances.update'>, caller: Caller): Promise<Instance> {
    const {id} = await this.#find(reference, caller)
    return this.#shown(await updateInstance(this.#deps, {id, reference, ...change}, caller))
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
    memory.setGrace(allocationId(instance.claimId, instance.epoch, secrets), graceSeconds)
    wake('node', instance.nodeId)
    wake('claim', instance.claimId)
    return this.#shown(instance)
  }

  /** A live one gives its GPUs back; of a finished one the kept container goes. Its volumes go with it. */
  async #delete({id: reference, keepVolumes = false}: InputOf<'instances.delete'>, caller: Caller) {
    const {id, claimId} = await this.#find(reference, caller)
    const {journal, wake, store} = this.#deps
    const claim = await store.claims.find(claimId)
    if (claim && !isFinal(claim.status.phase)) {
      await this.#claims.cancel(claimId, caller, {keepVolumes})
      return {done: true as const}
    }
    const nodes = await journal.change(async (tx, record) => {
      const instance = await tx.instances.find(id)
      if (!instance || instance.desired === 'deleted') return []
      const isThere = instance.containerId !== '' && instance.nodeId !== '' && (await tx.nodes.find(instance.nodeId))
      const status = isThere ? ('deleting' as const) : ('exited' as const)
      const saved = await tx.instances.save({...instance, desired: 'deleted', status, updatedAt: this.#now()})
      await this.#note(record, saved, 'delete', caller)
      const volumes = keepVolumes ? [] : await tx.volumes.letGo(claimId)
      return [saved.nodeId, ...volumes, ...(await tx.instanceSnapshots.letGo(id))]
    })
    for (const nodeId of nodes) if (nodeId) wake('node', nodeId)
    return {done: true as const}
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

function notOffered(kind: 'image' | 'spec', name: string) {
  const fix = `See what is offered with \`gpuctl ${kind} list\`.`
  return problem('input_invalid', {field: kind, problem: `${name} is not offered.`, fix})
}
