import {Args, Flags} from '@oclif/core'
import {usageError} from '../../../cli/failure.ts'
import {taskFlags} from '../../../cli/storage-words.ts'
import {TaskCommand} from '../../../cli/task-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

const types = ['zfs', 'lvm', 'lvm-thin', 'btrfs', 'directory'] as const

export default class StoragePoolCreate extends TaskCommand {
  static override summary = 'Make a storage pool on a device of a node.'
  static override description =
    'A device that carries data is refused and shown. With --force it is erased; its contents are shown, and the device must be named once more: typed, or by --confirm.'
  static override examples = [
    '<%= config.bin %> storage pool create tank --node gpu-03 --device /dev/sdb --wait',
    '<%= config.bin %> storage pool create tank --node gpu-03 --device /dev/sdb --dry-run',
  ]
  static override args = {name: Args.string({description: 'name of the pool', required: true})}
  static override flags = {
    ...taskFlags,
    node: Flags.string({description: 'id or name of the node', required: true}),
    device: Flags.string({description: 'a whole block device, as /dev/sdb', helpValue: '<path>'}),
    type: Flags.option({description: 'kind of storage', options: types, default: 'zfs' as const})(),
    content: Flags.string({description: 'what it is for: images,rootdir', helpValue: '<list>'}),
    comment: Flags.string({description: 'a note kept with the pool'}),
    force: Flags.boolean({description: 'erase what the device carries'}),
    confirm: Flags.string({description: 'the device once more, needed with --force', helpValue: '<path>'}),
  }

  async run(): Promise<OutputOf<'pools.create'>> {
    const {args, flags} = await this.parse(StoragePoolCreate)
    const {node, device, type, comment, force, content, confirm} = flags
    const client = this.client(flags)
    if (force && device && this.calls === 'made' && confirm !== device) {
      const found = (await client.call('devices.list', {node})).find(one => [one.path, one.byId].includes(device))
      const carries = found?.carries.join('; ') || 'nothing known'
      const refusal = usageError(
        `--force erases ${device} of ${node}, which carries ${carries}.`,
        `Name it once more: --confirm ${device}.`,
      )
      if (confirm !== undefined) throw refusal
      await this.typed(device, refusal)
    }
    const begun = await client.call('pools.create', {
      name: args.name,
      ...{node, device, type, comment, force: force || undefined},
      content: content?.split(',') as ('images' | 'rootdir')[] | undefined,
    })
    const words = {doing: `Making pool ${args.name}`, done: `Pool ${args.name} is ready on ${node}.`}
    return this.started(client, begun, {flags, ...words})
  }
}
