import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class StoragePoolShare extends ChangeCommand {
  static override summary = 'Export a storage pool over NFS to a network.'
  static override description =
    'The node looks at the export as a client does: where its NFS server shows it to nobody, nothing is shared, and what was shared before stays. Asks before it lets root of the clients be root here (--no-root-squash).'
  static override examples = [
    '<%= config.bin %> storage pool share tank --network 192.168.3.0/24',
    '<%= config.bin %> storage pool share tank --network 192.168.3.0/24 --ro --dry-run',
  ]
  static override args = {pool: Args.string({description: 'id or name', required: true})}
  static override flags = {
    network: Flags.string({description: 'who may mount it: /16 or narrower', required: true, helpValue: '<cidr>'}),
    ro: Flags.boolean({description: 'for reading only', exclusive: ['rw']}),
    rw: Flags.boolean({description: 'for reading and writing (unless --ro)'}),
    'root-squash': Flags.boolean({description: 'root of the clients is nobody here', default: true, allowNo: true}),
  }

  async run(): Promise<OutputOf<'pools.share'>> {
    const {args, flags} = await this.parse(StoragePoolShare)
    const {network, ro, 'root-squash': rootSquash, 'dry-run': dryRun} = flags
    if (!rootSquash) await this.consent(`Let root of ${network} be root on the files of ${args.pool}?`, flags)
    const input = {id: args.pool, network, readWrite: !ro, rootSquash}
    const shared = await this.client(flags).call('pools.share', input)
    if (dryRun) this.showCommands(shared.commands)
    else
      this.say(`Pool ${shared.pool.name} is exported as ${shared.pool.share?.exportPath} to ${network}.`, shared.pool)
    return shared
  }
}
