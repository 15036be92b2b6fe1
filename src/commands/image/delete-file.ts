import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'

export default class ImageDeleteFile extends ChangeCommand {
  static override summary = 'Delete a file that was uploaded, or what has come of it.'
  static override examples = [
    '<%= config.bin %> image delete-file debian-12.img',
    '<%= config.bin %> image delete-file debian-12.img --node pve-01 --storage local',
  ]
  static override args = {file: Args.string({description: 'name of the file on its node', required: true})}
  static override flags = {
    node: Flags.string({description: 'id or name of the node, where several have the file'}),
    storage: Flags.string({description: 'storage of Proxmox VE that it lies in', default: 'local'}),
  }

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(ImageDeleteFile)
    const {node, storage} = flags
    const done = await this.client(flags).call('osImages.delete', {file: args.file, node, storage})
    this.say(`Deleted ${args.file}.`, {id: args.file, name: args.file})
    return done
  }
}
