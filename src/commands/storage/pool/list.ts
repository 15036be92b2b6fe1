import {Flags} from '@oclif/core'
import {ListCommand} from '../../../cli/list-command.ts'
import {poolColumns} from '../../../cli/storage-words.ts'
import type {Pool} from '../../../contract/schemas/storage.ts'

export default class StoragePoolList extends ListCommand {
  static override summary = 'List storage pools, their use and their shares.'
  static override examples = [
    '<%= config.bin %> storage pool list',
    '<%= config.bin %> storage pool list --node gpu-03 -o json',
  ]
  static override flags = {node: Flags.string({description: 'only of this node'})}

  async run(): Promise<Pool[]> {
    const {flags} = await this.parse(StoragePoolList)
    const pools = await this.client(flags).call('pools.list', {node: flags.node})
    return this.list(
      pools,
      poolColumns,
      'There are no pools. See the devices with `gpuctl storage device list --node …`.',
    )
  }
}
