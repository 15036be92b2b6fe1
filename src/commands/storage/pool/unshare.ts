import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../../cli/base-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class StoragePoolUnshare extends BaseCommand {
  static override summary = 'End the NFS export of a storage pool.'
  static override examples = [
    '<%= config.bin %> storage pool unshare tank',
    '<%= config.bin %> storage pool unshare tank --dry-run',
  ]
  static override args = {pool: Args.string({description: 'id or name', required: true})}
  static override flags = {'dry-run': Flags.boolean({char: 'n', description: 'show the very commands, do nothing'})}

  async run(): Promise<OutputOf<'pools.unshare'>> {
    const {args, flags} = await this.parse(StoragePoolUnshare)
    const ended = await this.client(flags).call('pools.unshare', {id: args.pool, dryRun: flags['dry-run'] || undefined})
    if (flags['dry-run']) for (const line of ended.commands) this.log(line)
    else this.say(`Pool ${ended.pool.name} is exported no more.`, ended.pool)
    return ended
  }
}
