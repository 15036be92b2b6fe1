import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Mount} from '../../contract/schemas/storage.ts'
import type {FoundMount} from '../../contract/storage-protocol.ts'
import type {Caller} from '../caller.ts'
import {isProblem, problem} from '../errors.ts'
import {createMounts, type MountWork, registrationsOf, removeMount} from '../recipes/mount-recipes.ts'
import {clusterName} from '../recipes/registration.ts'
import type {MountRecord} from '../records.ts'
import {tryOnly} from '../rehearsal.ts'
import {publicTask} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import type {PoolService} from './pools.ts'
import {findersAmong, resolve} from './references.ts'
import type {Services} from './services.ts'
import type {TaskService} from './tasks.ts'

interface MountParts {
  keeping: NodeKeeping
  tasks: TaskService
  pools: PoolService
}

type Source = Pick<MountWork, 'server' | 'exportPath' | 'readOnly'>

/** Exports of other machines on the nodes. */
export class MountService {
  readonly #deps: ServiceDependencies
  readonly #parts: MountParts

  constructor(deps: ServiceDependencies, parts: MountParts) {
    this.#deps = deps
    this.#parts = parts
  }

  methods(): Services['mounts'] {
    return {
      list: (input, caller) => this.#list(input, caller),
      create: (input, caller) => this.#create(input, caller),
      delete: (input, caller) => this.#delete(input, caller),
    }
  }

  async #list({node}: InputOf<'mounts.list'>, caller: Caller): Promise<Mount[]> {
    const nodeId = node === undefined ? undefined : (await this.#parts.keeping.own(node, caller)).id
    const records = await this.#seen(caller, nodeId)
    const asked = new Map<string, Promise<FoundMount[] | undefined>>()
    for (const {nodeId: id} of records) if (!asked.has(id)) asked.set(id, this.#foundOn(id))
    return Promise.all(records.map(async one => this.#describe(one, await asked.get(one.nodeId))))
  }

  async #create(input: InputOf<'mounts.create'>, caller: Caller): Promise<OutputOf<'mounts.create'>> {
    const {name, nodes: references, readOnly = false, content = ['images', 'rootdir'], dryRun} = input
    const source: Source = {...(await this.#sourceOf(input, caller)), readOnly}
    const nodes = await Promise.all(references.map(reference => this.#parts.keeping.own(reference, caller)))
    const [first] = nodes
    if (!first) throw problem('input_invalid', {field: 'nodes', problem: 'is empty', fix: 'Name a node.'})
    const plan = {method: 'mount.create' as const, input: {name, ...source}}
    const agent = this.#deps.fleet.agent(first.id)
    const draft = nodes.map(one => ({mountId: '', nodeId: one.id, node: one.name, clusterNode: clusterName(one)}))
    const [{wanted} = {}] = registrationsOf({name, ...source, content, targets: draft})
    const registering = {method: 'storage.register' as const, input: wanted as object}
    const commands = [...(await agent.storage('plan', plan)), ...(await agent.storage('plan', registering))]
    if (dryRun) {
      await tryOnly(one => this.#create({...input, dryRun: false}, one), caller)
      return {mounts: [], task: null, commands}
    }
    const {journal, secrets, clock} = this.#deps
    const at = new Date(clock.now()).toISOString()
    const {mounts, task} = await journal.change(async (tx, record) => {
      const mounts: MountRecord[] = []
      for (const {id: nodeId} of nodes) {
        const fields = {id: secrets.uuid(), createdAt: at, updatedAt: at, name, nodeId, ...source, content}
        mounts.push(await tx.mounts.insert({...fields, state: 'creating'}))
      }
      const targets = draft.map((one, index) => ({...one, mountId: mounts[index]?.id ?? ''}))
      const node = nodes.map(one => one.name).join(', ')
      const work = {name, ...source, content, targets}
      const task = await this.#parts.tasks.submit({tx, record}, {recipe: createMounts, input: work, node, caller})
      return {mounts, task}
    })
    this.#parts.tasks.start(task)
    const made = await Promise.all(mounts.map(one => this.#describe(one, undefined)))
    return {mounts: made, task: publicTask(task), commands}
  }

  async #delete({id, dryRun}: InputOf<'mounts.delete'>, caller: Caller): Promise<OutputOf<'mounts.delete'>> {
    const seen = () => this.#seen(caller)
    const found = await resolve(
      id,
      findersAmong('mount', seen, ({name}) => name),
    )
    if (dryRun) {
      await tryOnly(one => this.#delete({id}, one), caller)
      const plan = {method: 'mount.remove' as const, input: {name: found.name}}
      return {task: null, commands: await this.#deps.fleet.agent(found.nodeId).storage('plan', plan)}
    }
    const {name, server, exportPath, readOnly, nodeId, content} = found
    const record = await this.#deps.store.nodes.find(nodeId)
    const node = record?.name ?? nodeId
    const clusterNode = clusterName(record ?? {name: node})
    const input = {
      name,
      server,
      exportPath,
      readOnly,
      content,
      targets: [{mountId: found.id, nodeId, node, clusterNode}],
    }
    const task = await this.#deps.journal.change(async (tx, record) => {
      await tx.mounts.save({...found, state: 'deleting'})
      return this.#parts.tasks.submit({tx, record}, {recipe: removeMount, input, node, caller})
    })
    this.#parts.tasks.start(task)
    return {task: publicTask(task), commands: []}
  }

  /** Of a shared pool, or as given. */
  async #sourceOf(
    {pool, server, exportPath}: InputOf<'mounts.create'>,
    caller: Caller,
  ): Promise<Omit<Source, 'readOnly'>> {
    if (pool === undefined && server !== undefined && exportPath !== undefined) return {server, exportPath}
    if (pool === undefined || exportPath !== undefined) {
      const fix = 'Name a pool, or give server and exportPath.'
      throw problem('input_invalid', {field: 'pool', problem: 'or server and exportPath are needed', fix})
    }
    const record = await this.#parts.pools.find(pool, caller)
    const shared = await this.#parts.pools.poolMethods().get({id: record.id}, caller)
    const fix = `Share it first: gpuctl storage pool share ${record.name}.`
    if (!shared.share) throw problem('input_invalid', {field: 'pool', problem: 'is not shared', fix})
    const node = await this.#deps.store.nodes.find(record.nodeId)
    const address = server ?? node?.claimedAddress ?? ''
    return {server: address === '' ? (node?.address ?? '') : address, exportPath: shared.share.exportPath}
  }

  async #seen(caller: Caller, nodeId?: string): Promise<MountRecord[]> {
    const mine = await this.#parts.keeping.mine(caller)
    return (await this.#deps.store.mounts.list({nodeId})).filter(one => !mine || mine.has(one.nodeId))
  }

  async #foundOn(nodeId: string): Promise<FoundMount[] | undefined> {
    try {
      return await this.#deps.fleet.agent(nodeId).storage('mounts.list', {})
    } catch (error) {
      if (!isProblem(error)) throw error
      return undefined
    }
  }

  async #describe(record: MountRecord, onNode: FoundMount[] | undefined): Promise<Mount> {
    const {state, ...wanted} = record
    const found = onNode?.find(({name}) => name === record.name)
    const now = onNode ? (found?.state ?? 'absent') : 'unknown'
    return {
      ...wanted,
      node: await this.#nameOf(record.nodeId),
      path: found?.path ?? '',
      status: state === 'ready' ? now : state,
      detail: found?.detail ?? (onNode ? '' : 'Its node does not answer.'),
    }
  }

  async #nameOf(nodeId: string): Promise<string> {
    return (await this.#deps.store.nodes.find(nodeId))?.name ?? nodeId
  }
}
