import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../../cli/storage-words.ts'
import {TaskCommand} from '../../../cli/task-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class VmBackupCreate extends TaskCommand {
  static override summary = 'Back a virtual machine of Proxmox VE up, while it runs.'
  static override examples = [
    '<%= config.bin %> vm backup create 100 --node pve-1 --wait',
    '<%= config.bin %> vm backup create 100 --node pve-1 --storage nas',
  ]
  static override args = {vm: Args.string({description: 'number of the virtual machine', required: true})}
  static override flags = {
    wait: taskFlags.wait,
    node: Flags.string({description: 'id or name of its node', required: true}),
    storage: Flags.string({description: 'storage of the node that keeps it; local unless given'}),
  }

  async run(): Promise<OutputOf<'vmBackups.create'>> {
    const {args, flags} = await this.parse(VmBackupCreate)
    const {node, storage} = flags
    const client = this.client(flags)
    const begun = await client.call('vmBackups.create', {vm: args.vm, node, storage})
    const words = {doing: `Backing up virtual machine ${args.vm}`, done: `Virtual machine ${args.vm} is backed up.`}
    return this.started(client, begun, {flags, ...words})
  }
}
