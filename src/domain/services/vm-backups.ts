import type {InputOf} from '../../contract/contract.ts'
import type {Task} from '../../contract/schemas/tasks.ts'
import type {VmBackup} from '../../contract/schemas/vm-backups.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import {backupVm, restoreVm} from '../recipes/vm-recipes.ts'
import {publicTask, type Recipe} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import type {Services} from './services.ts'
import type {TaskService} from './tasks.ts'

/** Where a host of Proxmox VE keeps backups unless somebody made a storage for them. */
const usualStorage = 'local'

/** Virtual machines of Proxmox VE, as far as their backups go. What there is, the nodes know. */
export class VmBackupService {
  readonly #deps: ServiceDependencies
  readonly #parts: {keeping: NodeKeeping; tasks: TaskService}

  constructor(deps: ServiceDependencies, parts: {keeping: NodeKeeping; tasks: TaskService}) {
    this.#deps = deps
    this.#parts = parts
  }

  methods(): Services['vmBackups'] {
    return {
      list: (input, caller) => this.#list(input, caller),
      create: (input, caller) => this.#create(input, caller),
      restore: (input, caller) => this.#restore(input, caller),
    }
  }

  async #list(
    {node: reference, storage = usualStorage, vm}: InputOf<'vmBackups.list'>,
    caller: Caller,
  ): Promise<VmBackup[]> {
    const node = await this.#parts.keeping.own(reference, caller)
    const found = await this.#ofNode(node.id).storage('vmBackups.list', {storage, ...(vm ? {id: vm} : {})})
    return found.map(({id, ...rest}) => ({...rest, vm: id, node: node.name}))
  }

  async #create(
    {vm: id, node: reference, storage = usualStorage}: InputOf<'vmBackups.create'>,
    caller: Caller,
  ): Promise<{task: Task}> {
    const node = await this.#parts.keeping.own(reference, caller)
    if (!(await this.#ofNode(node.id).storage('vm.look', {id}))) throw missing(id)
    const known = (await this.#ofNode(node.id).storage('vmBackups.list', {storage, id})).map(({archive}) => archive)
    return this.#begin(backupVm, {nodeId: node.id, node: node.name, id, storage, known}, caller)
  }

  async #restore(input: InputOf<'vmBackups.restore'>, caller: Caller): Promise<{task: Task}> {
    const {archive, storage = null, confirm} = input
    const node = await this.#parts.keeping.own(input.node, caller)
    const [holder = ''] = archive.split(':')
    const backups = await this.#ofNode(node.id).storage('vmBackups.list', {storage: holder})
    const backup = backups.find(one => one.archive === archive)
    if (!backup) throw problem('not_found', {kind: 'backup', name: archive})
    const {vm: id = backup.id} = input
    const found = await this.#ofNode(node.id).storage('vm.look', {id})
    if (found && confirm !== id) throw problem('confirmation_missing', {kind: 'virtual machine', name: id})
    const state = {isThere: found !== null, wasRunning: found?.isRunning ?? false}
    return this.#begin(restoreVm, {nodeId: node.id, node: node.name, id, archive, storage, ...state}, caller)
  }

  async #begin<W extends {node: string}>(recipe: Recipe<W>, input: W, caller: Caller): Promise<{task: Task}> {
    const task = await this.#deps.journal.change((tx, record) =>
      this.#parts.tasks.submit({tx, record}, {recipe, input, node: input.node, caller}),
    )
    this.#parts.tasks.start(task)
    return {task: publicTask(task)}
  }

  #ofNode(nodeId: string) {
    return this.#deps.fleet.agent(nodeId)
  }
}

function missing(id: string) {
  return problem('not_found', {kind: 'virtual machine', name: id})
}
