import type {InputOf} from '../../contract/contract.ts'
import type {EngineTest, NodeListing} from '../../contract/schemas/machines.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import {type EngineAnswer, factsOf, stars} from '../machine.ts'
import type {MachineFacts, NodeRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {emptyNode} from './joining.ts'

type Changes = Omit<InputOf<'nodes.update'>, 'id' | 'name'>
type Engine = NonNullable<NodeRecord['docker']>

const dockerAddress = /^(tcp:\/\/(\[[0-9a-fA-F:.]+\]|[^/\s:@?#]+):\d{1,5}|unix:\/\/\/\S+)$/
const loopback = /^tcp:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\]):/

/** Machines whose Docker the server reaches itself, and what operators say of machines. */
export class Machines {
  readonly #deps: ServiceDependencies
  /** What each engine answered when it was last asked; after a start nobody has been asked yet. */
  readonly #answers = new Map<string, {status: EngineTest['status']; at: string}>()

  constructor(deps: ServiceDependencies) {
    this.#deps = deps
  }

  /** Admitted by being added. It is recorded whether its engine answers or not. */
  async add({name, ...changes}: InputOf<'nodes.add'>, caller: Caller): Promise<NodeRecord> {
    const {secrets, journal, wake} = this.#deps
    const id = secrets.uuid()
    const at = this.#now()
    const draft = await this.#changed({...emptyNode(id, at), kind: 'docker'}, changes)
    const node = await journal.change(async (tx, record) => {
      if (await tx.nodes.findActiveByName(name)) throw problem('name_taken', {kind: 'node', name})
      const made = await tx.nodes.insert({...draft, name, hostname: name, admission: 'active', ownerId: caller.id})
      const where = changes.docker ? ` at ${changes.docker}` : ''
      await record.event('node', {id, name}, 'Added', `${caller.username} added ${name}${where}.`, caller.username)
      await record.audit(caller, 'nodes.add', id, {name, docker: changes.docker ?? ''})
      return made
    })
    wake('queue', `node:${id}`)
    await this.ask(node)
    return node
  }

  async update({id}: NodeRecord, {name, ...changes}: Omit<InputOf<'nodes.update'>, 'id'>, caller: Caller) {
    const {store, journal, wake} = this.#deps
    const seen = await store.nodes.find(id)
    if (!seen) throw problem('not_found', {kind: 'node', name: id})
    const draft = await this.#changed(seen, changes)
    const node = await journal.change(async (tx, record) => {
      const holder = name === undefined ? undefined : await tx.nodes.findActiveByName(name)
      if (name !== undefined && holder && holder.id !== id) throw problem('name_taken', {kind: 'node', name})
      const saved = await tx.nodes.save({...draft, name: name ?? seen.name, updatedAt: this.#now()})
      const named = {id, name: saved.name || saved.hostname}
      await record.event('node', named, 'Changed', `${caller.username} changed ${named.name}.`, caller.username)
      const fields = Object.keys(name === undefined ? changes : {name, ...changes})
      await record.audit(caller, 'nodes.update', id, {fields})
      return saved
    })
    wake('queue', `node:${id}`)
    await this.ask(node)
    return node
  }

  /** Asks the engine now. Of a node that dials in its own agent is the one who knows. */
  async ask(node: NodeRecord): Promise<EngineTest> {
    const {memory, fleet, clock} = this.#deps
    if (node.kind === 'agent') {
      const isWell = fleet.connected(node.id) && memory.beat(node.id)?.runtimeState === 'ok'
      return {status: isWell ? 'connected' : 'unreachable', checkedAt: new Date(clock.now()).toISOString()}
    }
    const status = await this.#probe(node)
    const answer = {status, at: this.#now()}
    this.#answers.set(node.id, answer)
    return {status, checkedAt: answer.at}
  }

  /** Of an agentless node what its engine answered last. */
  answerOf(node: Pick<NodeRecord, 'id' | 'kind'>): EngineAnswer | undefined {
    if (node.kind === 'agent') return undefined
    const answer = this.#answers.get(node.id)
    if (!answer) return {dockerStatus: 'unknown', dockerCheckedAt: null}
    return {dockerStatus: answer.status === 'connected' ? 'connected' : 'failed', dockerCheckedAt: answer.at}
  }

  forget(nodeId: string): void {
    this.#answers.delete(nodeId)
  }

  async #probe({id, docker}: NodeRecord): Promise<EngineTest['status']> {
    if (!docker?.address) return 'unreachable'
    const {vault, probeEngine} = this.#deps
    const {address, ca, cert, sealedKey} = docker
    const key = sealedKey === '' ? '' : await vault.open(sealedKey, keyContext(id))
    return probeEngine({address, ca, cert, key})
  }

  /** The record with what is said anew. Throws input_invalid; nothing is recorded yet. */
  async #changed<T extends Omit<NodeRecord, 'number'>>(node: T, changes: Changes): Promise<T> {
    const {labels = node.labels} = changes
    const facts = await this.#changedFacts(node, changes)
    if (node.kind === 'agent') {
      if (changes.docker) throw dialsIn()
      return {...node, facts, labels} // its GPUs are what it tells
    }
    const docker = await this.#changedEngine(node, changes)
    const declaredGpus = changedGpus(node.declaredGpus, changes)
    return {...node, facts, labels, docker, declaredGpus, address: hostOf(docker.address) ?? node.address}
  }

  async #changedFacts(node: Omit<NodeRecord, 'number'>, changes: Changes): Promise<MachineFacts> {
    const before = factsOf(node)
    const {listed = before.listed, hamiCore = before.hamiCore, sshPassword} = changes
    const {sshPort: port = before.ssh.port, sshUser: user = before.ssh.user} = changes
    const sealedPassword = await this.#sealed(before.ssh.sealedPassword, sshPassword, passwordContext(node.id))
    const folder = hamiCore.length > 1 ? hamiCore.replace(/\/$/, '') : hamiCore
    if (folder !== '' && !this.#deps.hamiCoreFolders.includes(folder)) {
      const fix = `This server allows ${this.#deps.hamiCoreFolders.join(', ')}; GPUCTL_HAMI_CORE names others.`
      throw problem('input_invalid', {field: 'hamiCore', problem: 'is not a folder that may be bound.', fix})
    }
    const listing = {...before.listing}
    for (const name of Object.keys(listing) as (keyof NodeListing)[]) {
      if (changes[name] !== undefined) Object.assign(listing, {[name]: changes[name]})
    }
    return {listed, listing, hamiCore: folder, ssh: {port, user, sealedPassword}}
  }

  async #changedEngine({id, docker}: Omit<NodeRecord, 'number'>, changes: Changes): Promise<Engine> {
    const before = docker ?? {address: '', ca: '', cert: '', sealedKey: ''}
    const {docker: address = before.address, ca = before.ca, cert = before.cert} = changes
    const {useTls = changes.docker === undefined ? before.useTls : undefined} = changes
    const sealedKey = await this.#sealed(before.sealedKey, changes.key, keyContext(id))
    const engine = {address, useTls: useTls ?? isTlsExpected(address), ca, cert, sealedKey}
    checkEngine(engine)
    return engine.useTls ? engine : {...engine, ca: '', cert: '', sealedKey: ''}
  }

  /** Stars and absence leave a secret as it is; stars where there is none are none. */
  async #sealed(before: string, secret: string | undefined, context: string): Promise<string> {
    if (secret === undefined || secret === stars) return before
    return secret === '' ? '' : this.#deps.vault.seal(secret, context)
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}

/** What a sealed value is bound to; whoever opens it needs the same. */
export const keyContext = (nodeId: string) => `nodes:${nodeId}:dockerKey`
const passwordContext = (nodeId: string) => `nodes:${nodeId}:sshPassword`

function dialsIn() {
  const fix = 'Delete it and add it anew, if the server is to work on its Docker.'
  return problem('input_invalid', {field: 'docker', problem: 'the agent of this node reaches its engine itself.', fix})
}

function isTlsExpected(address: string): boolean {
  return address.startsWith('tcp:')
}

function checkEngine({address, useTls, ca, cert, sealedKey}: Required<Engine>): void {
  if (address === '') return
  if (!dockerAddress.test(address)) {
    const fix = 'Give tcp://HOST:PORT, or unix:///path on the server’s own machine.'
    throw problem('input_invalid', {field: 'docker', problem: 'is not the address of a Docker Engine.', fix})
  }
  if (!address.startsWith('tcp:')) return
  if (!useTls && !loopback.test(address)) {
    const fix = 'Leave useTls out and give ca, cert and key of the engine’s mutual TLS.'
    throw problem('input_invalid', {field: 'useTls', problem: 'an engine on the network needs TLS.', fix})
  }
  if (useTls && !(ca && cert && sealedKey)) {
    const fix = 'Give ca, cert and key of the engine’s mutual TLS.'
    throw problem('input_invalid', {field: 'docker', problem: 'an engine on the network needs TLS.', fix})
  }
}

function changedGpus(before: NodeRecord['declaredGpus'], changes: Changes): NodeRecord['declaredGpus'] {
  const {gpuModel: model = before?.model ?? 'GPU', gpuCount: count = before?.count ?? 0} = changes
  return count > 0 ? {model, count, memoryMiB: changes.gpuMemoryMiB ?? before?.memoryMiB ?? null} : null
}

function hostOf(address: string): string | undefined {
  if (address.startsWith('unix:')) return 'localhost'
  return /^tcp:\/\/(.+):\d+$/.exec(address)?.[1]
}
