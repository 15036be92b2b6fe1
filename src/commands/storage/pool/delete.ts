import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../../cli/storage-words.ts'
import {TaskCommand} from '../../../cli/task-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class StoragePoolDelete extends TaskCommand {
  static override summary = 'Destroy a storage pool with all that is in it.'
  static override examples = [
    '<%= config.bin %> storage pool delete tank --confirm tank --wait',
    '<%= config.bin %> storage pool delete tank --dry-run',
  ]
  static override args = {pool: Args.string({description: 'id or name', required: true})}
  static override flags = {
    ...taskFlags,
    confirm: Flags.string({description: 'name of the pool once more', helpValue: '<name>'}),
  }

  async run(): Promise<OutputOf<'pools.delete'>> {
    const {args, flags} = await this.parse(StoragePoolDelete)
    const client = this.client(flags)
    const input = {id: args.pool}
    const begun = await this.confirmed(flags.confirm, confirm => client.call('pools.delete', {...input, confirm}))
    const words = {doing: `Destroying pool ${args.pool}`, done: `Pool ${args.pool} is destroyed.`}
    return this.started(client, begun, {flags, ...words})
  }
}
