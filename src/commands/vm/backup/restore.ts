import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../../cli/storage-words.ts'
import {TaskCommand} from '../../../cli/task-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class VmBackupRestore extends TaskCommand {
  static override summary = 'Make a virtual machine of its backup.'
  static override description =
    'One of that number that is there already is stopped, overwritten, and started again when it ran: what it held is lost, and a restore that fails does not bring it back.'
  static override examples = [
    '<%= config.bin %> vm backup restore local:backup/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst --node pve-1 --vm 200 --wait',
    '<%= config.bin %> vm backup restore local:backup/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst --node pve-1 --confirm 100',
  ]
  static override args = {archive: Args.string({description: 'as `vm backup list` shows it', required: true})}
  static override flags = {
    wait: taskFlags.wait,
    node: Flags.string({description: 'id or name of the node', required: true}),
    vm: Flags.string({description: 'number of the virtual machine; that of the backup unless given'}),
    storage: Flags.string({description: 'storage of the disks; where they were unless given'}),
    confirm: Flags.string({description: 'number of the one that is overwritten', helpValue: '<number>'}),
  }

  async run(): Promise<OutputOf<'vmBackups.restore'>> {
    const {args, flags} = await this.parse(VmBackupRestore)
    const {node, vm, storage} = flags
    const client = this.client(flags)
    const begun = await this.confirmed(flags.confirm, confirm =>
      client.call('vmBackups.restore', {archive: args.archive, node, vm, storage, confirm}),
    )
    const words = {doing: `Restoring ${begun.task.object}`, done: `${begun.task.object} is restored.`}
    return this.started(client, begun, {flags, ...words})
  }
}
