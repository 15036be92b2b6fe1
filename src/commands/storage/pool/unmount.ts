import {Args, Flags} from '@oclif/core'
import {usageError} from '../../../cli/failure.ts'
import {taskFlags} from '../../../cli/storage-words.ts'
import {TaskCommand} from '../../../cli/task-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class StoragePoolUnmount extends TaskCommand {
  static override summary = 'Unmount an export from a node.'
  static override examples = [
    '<%= config.bin %> storage pool unmount tank --node gpu-04 --wait',
    '<%= config.bin %> storage pool unmount tank --dry-run',
  ]
  static override args = {name: Args.string({description: 'name or id of the mount', required: true})}
  static override flags = {...taskFlags, node: Flags.string({description: 'where several nodes have it'})}

  async run(): Promise<OutputOf<'mounts.delete'>> {
    const {args, flags} = await this.parse(StoragePoolUnmount)
    const client = this.client(flags)
    const mounts = await client.call('mounts.list', {node: flags.node}, {prepares: true})
    const found = mounts.filter(({name, id}) => name === args.name || id === args.name)
    if (found.length > 1) {
      const nodes = found.map(({node}) => node).join(', ')
      throw usageError(`${args.name} is mounted on ${nodes}.`, 'Name one of them with --node.')
    }
    const begun = await client.call('mounts.delete', {
      id: found[0]?.id ?? args.name,
    })
    const words = {doing: `Unmounting ${args.name}`, done: `${args.name} is unmounted.`}
    return this.started(client, begun, {flags, ...words})
  }
}
