import {basename} from 'node:path'
import {Args, Flags} from '@oclif/core'
import {uploadImage} from '../../cli/image-upload.ts'
import {Progress} from '../../cli/progress.ts'
import {StreamCommand} from '../../cli/stream-command.ts'
import type {OsImage} from '../../contract/schemas/os-images.ts'

export default class ImageUpload extends StreamCommand {
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

  async run(): Promise<OsImage | undefined> {
    const {args, flags} = await this.parse(ImageUpload)
    const {node, name: file = basename(args.path)} = flags
    const progress = new Progress(this.mode)
    try {
      const tell = (text: string) => progress.step(text)
      const client = this.client(flags)
      const image = await this.untilInterrupted(signal =>
        uploadImage({client, path: args.path, file, node, signal, tell}),
      )
      progress.end()
      if (!image) {
        this.notice('What has come is kept there; the same command goes on.')
        return undefined
      }
      this.say(`${file} is on ${image.node}.`, {id: file, name: file})
      return image
    } finally {
      progress.end()
    }
  }
}
