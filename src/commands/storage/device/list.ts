import {Flags} from '@oclif/core'
import {ListCommand} from '../../../cli/list-command.ts'
import {deviceColumns} from '../../../cli/storage-words.ts'
import type {Device} from '../../../contract/schemas/storage.ts'

export default class StorageDeviceList extends ListCommand {
  static override summary = 'List the block devices of a node, and what they carry.'
  static override examples = [
    '<%= config.bin %> storage device list --node gpu-03',
    '<%= config.bin %> storage device list --node gpu-03 -o wide',
  ]
  static override flags = {node: Flags.string({description: 'id or name of the node', required: true})}

  async run(): Promise<Device[]> {
    const {flags} = await this.parse(StorageDeviceList)
    const devices = await this.client(flags).call('devices.list', {node: flags.node})
    return this.list(devices, deviceColumns, `${flags.node} has no block devices.`)
  }
}
