import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import type {Column} from '../../cli/output/column.ts'
import {ago, bytes} from '../../cli/output/figures.ts'
import type {OsImage} from '../../contract/schemas/os-images.ts'

const columns: Column<OsImage>[] = [
  {name: 'file', value: ({file}) => file},
  {name: 'node', value: ({node}) => node},
  {name: 'size', value: ({totalBytes}) => totalBytes, shown: ({totalBytes}) => bytes(totalBytes)},
  {
    name: 'there',
    value: ({sizeBytes}) => sizeBytes,
    shown: ({sizeBytes, totalBytes}) => `${Math.floor((100 * sizeBytes) / totalBytes)} %`,
  },
  {name: 'changed', value: ({updatedAt}) => updatedAt, shown: ({updatedAt}) => ago(updatedAt)},
]

export default class ImageListFiles extends ListCommand {
  static override summary = 'List the files of operating systems on the nodes, unfinished uploads too.'
  static override examples = [
    '<%= config.bin %> image list-files',
    '<%= config.bin %> image list-files --node pve-01 --json',
  ]
  static override flags = {node: Flags.string({description: 'id or name of the node'})}

  async run(): Promise<OsImage[]> {
    const {flags} = await this.parse(ImageListFiles)
    const files = await this.client(flags).call('osImages.list', {node: flags.node})
    return this.list(
      files,
      columns,
      'No node has files of operating systems. Next: gpuctl image upload FILE --node NODE',
    )
  }
}
