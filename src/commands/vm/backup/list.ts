import {Flags} from '@oclif/core'
import {ListCommand} from '../../../cli/list-command.ts'
import {vmBackupColumns} from '../../../cli/site-listings.ts'
import type {VmBackup} from '../../../contract/schemas/vm-backups.ts'

export default class VmBackupList extends ListCommand {
  static override summary = 'List backups of virtual machines in a storage of a node.'
  static override examples = [
    '<%= config.bin %> vm backup list --node pve-1',
    '<%= config.bin %> vm backup list --node pve-1 --storage nas --vm 100 -o json',
  ]
  static override flags = {
    node: Flags.string({description: 'id or name of the node', required: true}),
    storage: Flags.string({description: 'its storage; local unless given'}),
    vm: Flags.string({description: 'only those of this virtual machine'}),
  }

  async run(): Promise<VmBackup[]> {
    const {flags} = await this.parse(VmBackupList)
    const {node, storage, vm} = flags
    const found = await this.client(flags).call('vmBackups.list', {node, storage, vm})
    return this.list(found, vmBackupColumns, 'There are no backups.')
  }
}
