import {Args} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class StoragePoolUnshare extends ChangeCommand {
  static override summary = 'End the NFS export of a storage pool.'
  static override examples = [
    '<%= config.bin %> storage pool unshare tank',
    '<%= config.bin %> storage pool unshare tank --dry-run',
  ]
  static override args = {pool: Args.string({description: 'id or name', required: true})}

  async run(): Promise<OutputOf<'pools.unshare'>> {
    const {args, flags} = await this.parse(StoragePoolUnshare)
    const ended = await this.client(flags).call('pools.unshare', {id: args.pool})
    if (flags['dry-run']) this.showCommands(ended.commands)
    else this.say(`Pool ${ended.pool.name} is exported no more.`, ended.pool)
    return ended
  }
}
