import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Device, Pool} from '../../contract/schemas/storage.ts'
import type {FoundPool, StorageInput, StorageMethod} from '../../contract/storage-protocol.ts'
import type {Caller} from '../caller.ts'
import {isProblem, problem} from '../errors.ts'
import {createPool, destroyPool, type PoolWork, registrationOf} from '../recipes/pool-recipes.ts'
import {clusterName} from '../recipes/registration.ts'
import type {NodeRecord, PoolRecord} from '../records.ts'
import {tryOnly} from '../rehearsal.ts'
import {publicTask} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import {findersAmong, resolve} from './references.ts'
import type {Services} from './services.ts'
import type {TaskService} from './tasks.ts'

interface PoolParts {
  keeping: NodeKeeping
  tasks: TaskService
}

/** Storage pools of the nodes: what is wanted stands in the store, what there is is asked of the node. */
export class PoolService {
  readonly #deps: ServiceDependencies
  readonly #parts: PoolParts

  constructor(deps: ServiceDependencies, parts: PoolParts) {
    this.#deps = deps
    this.#parts = parts
  }

  poolMethods(): Services['pools'] {
    return {
      list: (input, caller) => this.#list(input, caller),
      get: async ({id}, caller) => this.#described(await this.find(id, caller)),
      create: (input, caller) => this.#create(input, caller),
      delete: (input, caller) => this.#delete(input, caller),
      share: ({id, network, readWrite = true, rootSquash = true, dryRun}, caller) =>
        this.#change(id, 'pool.share', {share: {network, readWrite, rootSquash}}, dryRun, caller),
      unshare: ({id, dryRun}, caller) => this.#change(id, 'pool.unshare', {}, dryRun, caller),
    }
  }

  deviceMethods(): Services['devices'] {
    return {
      list: async ({node: reference}, caller) => {
        const node = await this.#parts.keeping.own(reference, caller)
        const devices = await this.#ask(node.id, 'devices.list', {})
        return devices.map((device): Device => ({...device, node: node.name}))
      },
    }
  }

  /** By uuid, number, name, or `storage-<name>` (wire.md 2.1). Those of nodes that the caller does not administer look absent. */
  async find(reference: string, caller: Caller): Promise<PoolRecord> {
    const {pools} = this.#deps.store
    const mine = await this.#parts.keeping.mine(caller)
    const seen = async () => (await pools.list()).filter(({nodeId}) => !mine || mine.has(nodeId))
    // A pool may itself be called `storage-…`: its own name comes first.
    const isName = (await seen()).some(({name}) => name === reference)
    const meant = isName ? reference : reference.replace(/^storage-/, '')
    return resolve(
      meant,
      findersAmong('pool', seen, ({name}) => name),
    )
  }

  /** The one that is named, or the only one of the node. */
  async on(node: NodeRecord, reference: string | undefined, caller: Caller): Promise<PoolRecord> {
    const name = node.name || node.hostname
    if (reference !== undefined) {
      const pool = await this.find(reference, caller)
      if (pool.nodeId === node.id && pool.state === 'ready') return pool
      const fix = `See them with \`gpuctl storage pool list --node ${name}\`.`
      throw problem('input_invalid', {field: 'pool', problem: `is no ready pool of node ${name}`, fix})
    }
    const ready = (await this.#deps.store.pools.list({nodeId: node.id})).filter(({state}) => state === 'ready')
    const [only] = ready
    if (only && ready.length === 1) return only
    const [words, fix] = only
      ? [`is needed: node ${name} has several`, `Choose one: ${ready.map(pool => pool.name).join(', ')}.`]
      : [`is needed: node ${name} has none`, `Make one with \`gpuctl storage pool create … --node ${name}\`.`]
    throw problem('input_invalid', {field: 'pool', problem: words, fix})
  }

  async #list({node}: InputOf<'pools.list'>, caller: Caller): Promise<Pool[]> {
    const {keeping} = this.#parts
    const nodeId = node === undefined ? undefined : (await keeping.own(node, caller)).id
    const mine = await keeping.mine(caller)
    const records = (await this.#deps.store.pools.list({nodeId})).filter(one => !mine || mine.has(one.nodeId))
    const asked = new Map<string, Promise<FoundPool[] | undefined>>()
    for (const {nodeId: id} of records) if (!asked.has(id)) asked.set(id, this.#foundOn(id))
    return Promise.all(
      records.map(async one => this.#describe(one, await asked.get(one.nodeId), await this.#nodeOf(one))),
    )
  }

  async #create(
    {node: reference, dryRun, ...input}: InputOf<'pools.create'>,
    caller: Caller,
  ): Promise<OutputOf<'pools.create'>> {
    const {type = 'zfs', name, device = '', comment = '', force = false} = input
    if (type !== 'directory' && type !== 'fake' && device === '') {
      const fix = 'See the devices with `gpuctl storage device list --node …`.'
      throw problem('input_invalid', {field: 'device', problem: `is missing for a ${type} pool`, fix})
    }
    if (type === 'directory' && device !== '') {
      const words = 'plays no part: a directory pool is a folder of the node'
      const fix = 'Leave it out, or choose another type: zfs, lvm, lvm-thin or btrfs.'
      throw problem('input_invalid', {field: 'device', problem: words, fix})
    }
    const node = await this.#active(reference, caller)
    const wanted = {pool: name, type, force, ...(device ? {device} : {}), ...(comment ? {comment} : {})}
    const known = [await this.#deps.store.pools.list(), await this.#ask(node.id, 'pools.list', {})]
    const names = known.flatMap(pools => pools.map(one => ('name' in one ? one.name : one.pool)))
    if (names.includes(name)) throw problem('name_taken', {kind: 'pool', name})
    const draft = {id: '', name, nodeId: node.id, type, device, storageName: input.storageName ?? name}
    const content = input.content ?? (['images', 'rootdir'] as const)
    const registration = registrationOf(workOf({...draft, content: [...content]}, node)).wanted
    const commands = await this.#plan(node.id, 'pool.create', {...wanted, mark: 'task'})
    if (registration) {
      const {storages} = await this.#ask(node.id, 'cluster.look', {})
      const {storage} = registration
      if (storages.some(one => one.storage === storage)) throw problem('name_taken', {kind: 'storage', name: storage})
      commands.push(...(await this.#plan(node.id, 'storage.register', registration)))
    }
    if (dryRun) {
      await tryOnly(one => this.#create({node: reference, ...input}, one), caller)
      return {pool: null, task: null, commands}
    }
    const {journal, secrets, clock} = this.#deps
    const at = new Date(clock.now()).toISOString()
    const {pool, task} = await journal.change(async (tx, record) => {
      const pool = await tx.pools.insert({
        ...{id: secrets.uuid(), createdAt: at, updatedAt: at, name, nodeId: node.id, type, device, comment},
        storageName: draft.storageName,
        content: [...content],
        ...{registered: null, state: 'creating'},
      })
      const work = {...workOf(pool, node), force, comment}
      const task = await this.#parts.tasks.submit(
        {tx, record},
        {recipe: createPool, input: work, node: node.name, caller},
      )
      return {pool, task}
    })
    this.#parts.tasks.start(task)
    return {pool: this.#describe(pool, undefined, node), task: publicTask(task), commands}
  }

  async #delete({id, confirm, dryRun}: InputOf<'pools.delete'>, caller: Caller): Promise<OutputOf<'pools.delete'>> {
    const found = await this.find(id, caller)
    const node = await this.#nodeOf(found)
    if (dryRun) {
      await tryOnly(one => this.#delete({id, confirm: found.name}, one), caller)
      const input = {pool: found.name, type: found.type, wipe: true}
      return {task: null, commands: await this.#plan(found.nodeId, 'pool.destroy', input)}
    }
    if (confirm !== found.name) throw problem('confirmation_missing', {kind: 'pool', name: found.name})
    const task = await this.#deps.journal.change(async (tx, record) => {
      const sites = (await tx.sites.list({nodeIds: [found.nodeId]})).filter(({poolId}) => poolId === found.id)
      const names = sites.slice(0, 3).map(({name}) => name)
      if (sites.length > 0) throw problem('pool_in_use', {name: found.name, sites: names.join(', ')})
      await tx.pools.save({...found, state: 'deleting'})
      const input = workOf(found, node)
      return this.#parts.tasks.submit({tx, record}, {recipe: destroyPool, input, node: node.name, caller})
    })
    this.#parts.tasks.start(task)
    return {task: publicTask(task), commands: []}
  }

  /** Short enough to wait for: the answer says what there is then. What failed is no task; the events of the node tell it. */
  async #change(
    reference: string,
    method: 'pool.share' | 'pool.unshare',
    rest: object,
    dryRun: boolean | undefined,
    caller: Caller,
  ): Promise<OutputOf<'pools.share'>> {
    const record = await this.find(reference, caller)
    const input = {pool: record.name, type: record.type, ...rest}
    const commands = await this.#plan(record.nodeId, method, input)
    if (!dryRun) {
      await this.#deps.journal.change(async (_, journal) => {
        await journal.audit(caller, `pools.${method.slice('pool.'.length)}`, record.id, {pool: record.name, ...rest})
      })
      try {
        await this.#ask(record.nodeId, method, input as never)
      } catch (error) {
        await this.#deps.journal.change(async (_, journal) => {
          const {name} = await this.#nodeOf(record)
          const words = `${method} of ${record.name} failed: ${(error as Error).message}`
          await journal.event('node', {id: record.nodeId, name}, 'StorageFailed', words, caller.username)
        })
        throw error
      }
    }
    return {pool: await this.#described(record), commands}
  }

  async #described(record: PoolRecord): Promise<Pool> {
    return this.#describe(record, await this.#foundOn(record.nodeId), await this.#nodeOf(record))
  }

  #describe(record: PoolRecord, onNode: FoundPool[] | undefined, node: {name: string}): Pool {
    const {state, ...wanted} = record
    const found = onNode?.find(one => one.pool === record.name && one.type === record.type)
    // One that is there and not in its place holds no sites either: `node doctor --fix` brings it back.
    const isUp = found?.state === 'online' || found?.state === 'degraded'
    const now = (isUp && found.path === '') || (onNode && !found) ? 'missing' : (found?.state ?? 'unknown')
    return {
      ...wanted,
      node: node.name,
      status: state === 'ready' ? now : state,
      sizeBytes: found?.sizeBytes ?? null,
      freeBytes: found?.freeBytes ?? null,
      path: found?.path ?? '',
      share: found?.share ?? null,
    }
  }

  /** Undefined: the node does not answer; that is no reason to show nothing. */
  async #foundOn(nodeId: string): Promise<FoundPool[] | undefined> {
    try {
      return await this.#ask(nodeId, 'pools.list', {})
    } catch (error) {
      if (!isProblem(error)) throw error
      return undefined
    }
  }

  #plan(nodeId: string, method: StorageInput<'plan'>['method'], input: object): Promise<string[]> {
    return this.#ask(nodeId, 'plan', {method, input})
  }

  #ask<M extends StorageMethod>(nodeId: string, method: M, input: StorageInput<M>) {
    return this.#deps.fleet.agent(nodeId).storage(method, input)
  }

  async #active(reference: string, caller: Caller): Promise<NodeRecord> {
    const node = await this.#parts.keeping.own(reference, caller)
    if (node.admission === 'active') return node
    if (node.admission === 'pending') throw problem('node_not_approved', {name: node.name})
    throw problem('not_found', {kind: 'node', name: reference})
  }

  async #nodeOf({nodeId}: PoolRecord): Promise<{id: string; name: string; hostname: string}> {
    const node = await this.#deps.store.nodes.find(nodeId)
    return {id: nodeId, name: node?.name ?? nodeId, hostname: node?.hostname ?? ''}
  }
}

function workOf(
  pool: Pick<PoolRecord, 'id' | 'name' | 'type' | 'device' | 'storageName' | 'content'>,
  node: {id: string; name: string; hostname: string},
): PoolWork {
  const {name, type, device, storageName, content} = pool
  const registered = {storageName, content, clusterNode: clusterName(node)}
  return {poolId: pool.id, nodeId: node.id, node: node.name, pool: name, type, device, ...registered}
}
