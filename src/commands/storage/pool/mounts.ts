import {Flags} from '@oclif/core'
import {ListCommand} from '../../../cli/list-command.ts'
import {mountColumns} from '../../../cli/storage-words.ts'
import type {Mount} from '../../../contract/schemas/storage.ts'

export default class StoragePoolMounts extends ListCommand {
  static override summary = 'List what nodes have mounted of other machines; dead mounts are shown as dead.'
  static override examples = [
    '<%= config.bin %> storage pool mounts',
    '<%= config.bin %> storage pool mounts --node gpu-04 -o json',
  ]
  static override flags = {node: Flags.string({description: 'only of this node'})}

  async run(): Promise<Mount[]> {
    const {flags} = await this.parse(StoragePoolMounts)
    const mounts = await this.client(flags).call('mounts.list', {node: flags.node})
    return this.list(mounts, mountColumns, 'Nothing is mounted.')
  }
}
