import type {InputOf} from '../../contract/contract.ts'
import type {Instance, PathStat} from '../../contract/schemas/instances.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import type {AgentPort, Archive, ByteStream} from '../ports.ts'
import type {ServiceDependencies} from './dependencies.ts'

/** Where an instance's container is, for those who may see the instance. */
type Locate = (instance: Instance) => {agent: AgentPort; containerId: string}

interface AccessParts {
  deps: ServiceDependencies
  /** Throws not_found for a foreign instance. */
  get: (reference: string, caller: Caller) => Promise<Instance>
  locate: Locate
}

/** Ways to an instance's ports and files. Whoever may run a command in it may use them. */
export class InstanceAccess {
  readonly #parts: AccessParts

  constructor(parts: AccessParts) {
    this.#parts = parts
  }

  async openForward({id, port}: InputOf<'instances.forward'>, caller: Caller): Promise<ByteStream> {
    const instance = await this.#parts.get(id, caller)
    const {name, status} = instance
    if (status !== 'running') throw problem('instance_not_running', {name, status})
    const {agent, containerId} = this.#parts.locate(instance)
    await this.#note(instance, 'instances.forward', {port}, caller)
    return agent.dial(containerId, port)
  }

  async statPath({id, path}: InputOf<'instances.statPath'>, caller: Caller): Promise<PathStat> {
    const {agent, containerId} = this.#parts.locate(await this.#parts.get(id, caller))
    return agent.statPath(containerId, path)
  }

  async readArchive({id, path}: InputOf<'instances.archive'>, caller: Caller, signal: AbortSignal): Promise<Archive> {
    const instance = await this.#parts.get(id, caller)
    const {agent, containerId} = this.#parts.locate(instance)
    await this.#note(instance, 'instances.archive', {path}, caller)
    return agent.readArchive(containerId, path, signal)
  }

  async writeArchive(
    {id, path}: InputOf<'instances.unpack'>,
    content: AsyncIterable<Uint8Array>,
    caller: Caller,
  ): Promise<void> {
    const instance = await this.#parts.get(id, caller)
    const {agent, containerId} = this.#parts.locate(instance)
    await this.#note(instance, 'instances.unpack', {path}, caller)
    await agent.writeArchive(containerId, path, content)
  }

  async #note({id, name}: Instance, action: string, details: object, caller: Caller): Promise<void> {
    await this.#parts.deps.journal.change((_, record) => record.audit(caller, action, id, {name, ...details}))
  }
}
