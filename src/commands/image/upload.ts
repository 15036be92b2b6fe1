import {basename} from 'node:path'
import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {uploadImage} from '../../cli/image-upload.ts'
import {Progress} from '../../cli/progress.ts'
import type {OsImage} from '../../contract/schemas/os-images.ts'

export default class ImageUpload extends BaseCommand {
  static override summary = 'Send a file of an operating system to a node.'
  static override description =
    'It is checked by its SHA-256 and gets its name when all of it is there. Broken off, the same command goes on where it was.'
  static override examples = [
    '<%= config.bin %> image upload debian-12.img --node pve-01',
    '<%= config.bin %> image upload ./build/disk.img --node pve-01 --name debian-12.img --json',
  ]
  static override args = {path: Args.string({description: 'a file here', required: true})}
  static override flags = {
    node: Flags.string({description: 'id or name of the node', required: true}),
    name: Flags.string({description: 'what it is called there; its own name unless given'}),
  }

  async run(): Promise<OsImage> {
    const {args, flags} = await this.parse(ImageUpload)
    const {node, name: file = basename(args.path)} = flags
    const progress = new Progress(this.mode)
    try {
      const tell = (text: string) => progress.step(text)
      const image = await uploadImage({client: this.client(flags), path: args.path, file, node, tell})
      progress.end()
      this.say(`${file} is on ${image.node}.`, {id: file, name: file})
      return image
    } finally {
      progress.end()
    }
  }
}
