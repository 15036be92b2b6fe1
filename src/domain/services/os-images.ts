import type {InputOf} from '../../contract/contract.ts'
import type {OsImage} from '../../contract/schemas/os-images.ts'
import type {Task} from '../../contract/schemas/tasks.ts'
import type {FoundOsImage} from '../../contract/storage-protocol.ts'
import type {Caller} from '../caller.ts'
import {isProblem, problem} from '../errors.ts'
import {createTemplate} from '../recipes/template-recipes.ts'
import type {NodeRecord} from '../records.ts'
import {publicTask} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import type {Services} from './services.ts'
import type {TaskService} from './tasks.ts'

interface OsImageParts {
  keeping: NodeKeeping
  tasks: TaskService
}

/** Files of operating systems on the nodes, and templates of them. What there is, the nodes know. */
export class OsImageService {
  readonly #deps: ServiceDependencies
  readonly #parts: OsImageParts

  constructor(deps: ServiceDependencies, parts: OsImageParts) {
    this.#deps = deps
    this.#parts = parts
  }

  methods(): Services['osImages'] {
    return {
      list: (input, caller) => this.#list(input, caller),
      upload: (input, content, caller) => this.#upload(input, content, caller),
      delete: (input, caller) => this.#delete(input, caller),
      template: (input, caller) => this.#template(input, caller),
    }
  }

  async #list({node: reference}: InputOf<'osImages.list'>, caller: Caller): Promise<OsImage[]> {
    if (reference === undefined) return (await this.#everywhere(caller)).flatMap(({node, found}) => shown(found, node))
    const node = await this.#parts.keeping.own(reference, caller)
    return shown(await this.#ask(node.id), node)
  }

  async #upload(
    {node: reference, file: name, ...part}: InputOf<'osImages.upload'>,
    content: AsyncIterable<Uint8Array>,
    caller: Caller,
  ): Promise<OsImage> {
    const node = await this.#parts.keeping.own(reference, caller)
    const {journal, fleet} = this.#deps
    const agent = fleet.agent(node.id)
    if (part.offset === 0) {
      const {totalBytes, sha256} = part
      await journal.change((_, record) =>
        record.audit(caller, 'osImages.upload', node.id, {file: name, node: node.name, totalBytes, sha256}),
      )
    }
    const found = await agent.receiveOsImage({name, ...part}, content)
    return shown([found], node)[0] as OsImage
  }

  async #delete({file: name, node, storage = 'local'}: InputOf<'osImages.delete'>, caller: Caller) {
    const holder =
      storage === 'local' ? await this.#holder(name, node, caller) : await this.#storageHolder(node, caller)
    await this.#deps.journal.change((_, record) =>
      record.audit(caller, 'osImages.delete', holder.id, {file: name, storage, node: holder.name}),
    )
    await this.#deps.fleet.agent(holder.id).storage('osImage.delete', {storage, name})
    return {done: true as const}
  }

  async #template({file: image, id, name, node}: InputOf<'osImages.template'>, caller: Caller): Promise<Task> {
    const holder = await this.#holder(image, node, caller, isWhole)
    const known = await this.#deps.fleet.agent(holder.id).storage('templates.list', {id, name})
    if (known.length > 0) throw problem('name_taken', {kind: 'template', name: id})
    const input = {nodeId: holder.id, node: holder.name, image, id, name}
    const task = await this.#deps.journal.change((tx, record) =>
      this.#parts.tasks.submit({tx, record}, {recipe: createTemplate, input, node: holder.name, caller}),
    )
    this.#parts.tasks.start(task)
    return publicTask(task)
  }

  /** The one node that has the file. Throws os_image_missing, name_ambiguous. */
  async #holder(
    file: string,
    reference: string | undefined,
    caller: Caller,
    fits = (_found: FoundOsImage) => true,
  ): Promise<NodeRecord> {
    const nodes = reference === undefined ? await this.#everywhere(caller) : [await this.#on(reference, caller)]
    const holders = nodes.filter(({found}) => found.some(one => one.name === file && fits(one)))
    const [first, ...more] = holders
    if (!first) throw problem('os_image_missing', {file})
    if (more.length === 0) return first.node
    const candidates = holders.map(({node}) => `${file} on ${node.name}`).join(', ')
    throw problem('name_ambiguous', {name: file, candidates})
  }

  /** Of a storage that only the cluster manager of a node knows. */
  async #storageHolder(reference: string | undefined, caller: Caller): Promise<NodeRecord> {
    if (reference !== undefined) return this.#parts.keeping.own(reference, caller)
    for (const {node} of await this.#everywhere(caller)) {
      const {manager} = await this.#deps.fleet.agent(node.id).storage('cluster.look', {})
      if (manager !== null) return node
    }
    throw problem('not_found', {kind: 'node', name: 'with a cluster manager'})
  }

  async #on(reference: string, caller: Caller) {
    const node = await this.#parts.keeping.own(reference, caller)
    return {node, found: await this.#ask(node.id)}
  }

  /** All active nodes that the caller administers and that answer. */
  async #everywhere(caller: Caller): Promise<{node: NodeRecord; found: FoundOsImage[]}[]> {
    const {store, fleet} = this.#deps
    const mine = await this.#parts.keeping.mine(caller)
    const nodes = (await store.nodes.list({admission: 'active'})).filter(
      ({id}) => (!mine || mine.has(id)) && fleet.connected(id),
    )
    const asked = await Promise.all(
      nodes.map(async node => ({node, found: await this.#ask(node.id).catch(unlessProblem)})),
    )
    return asked.flatMap(({node, found}) => (found ? [{node, found}] : []))
  }

  #ask(nodeId: string): Promise<FoundOsImage[]> {
    return this.#deps.fleet.agent(nodeId).storage('osImages.list', {})
  }
}

function isWhole({sizeBytes, totalBytes}: FoundOsImage): boolean {
  return sizeBytes === totalBytes
}

function unlessProblem(error: unknown): undefined {
  if (!isProblem(error)) throw error
}

function shown(found: readonly FoundOsImage[], {id: nodeId, name: node}: NodeRecord): OsImage[] {
  return found.map(({name: file, ...rest}) => ({file, nodeId, node, ...rest}))
}
