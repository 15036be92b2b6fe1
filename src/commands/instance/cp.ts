import {Args, Flags} from '@oclif/core'
import {type Copied, copy} from '../../cli/copy/copy.ts'
import {readPlace} from '../../cli/copy/place.ts'
import {usageError} from '../../cli/failure.ts'
import {StreamCommand} from '../../cli/stream-command.ts'

export default class InstanceCp extends StreamCommand {
  static override summary = 'Copy files to an instance, out of it, or from one to another.'
  static override description =
    'Modes, times and links are kept; owners, too, as their numbers, where root writes. An existing folder is copied into. What comes from an instance cannot write outside the target: an archive that tries is refused.'
  static override examples = [
    '<%= config.bin %> instance cp train.py demo:/data/',
    '<%= config.bin %> cp -r demo:/data/results .',
    '<%= config.bin %> cp -r one:/data two:/data --checksum',
    'echo hello | <%= config.bin %> cp - demo:/data/note.txt',
  ]
  static override args = {
    source: Args.string({description: 'NAME:/path, a local path, or - for standard input', required: true}),
    target: Args.string({description: 'NAME:/path, a local path, or - for standard output', required: true}),
  }
  static override flags = {
    recursive: Flags.boolean({char: 'r', description: 'folders with all that is in them'}),
    checksum: Flags.boolean({description: 'read back what was written and compare its SHA-256'}),
  }

  async run(): Promise<Copied | undefined> {
    const {args, flags} = await this.parse(InstanceCp)
    const from = readPlace(args.source)
    const to = readPlace(args.target)
    if (from.kind !== 'instance' && to.kind !== 'instance') {
      throw usageError('Neither end is in an instance.', 'Name one as NAME:/path.')
    }
    const client = this.client(flags)
    const {recursive, checksum: verify} = flags
    const done = await this.untilInterrupted(signal =>
      copy(client, {from, to, recursive, verify, quiet: this.mode.quiet, signal}),
    )
    if (!done) return undefined
    for (const name of done.copied.skipped) this.notice(`Left out: ${name} is no file, folder or link.`)
    this.notice(`Copied ${done.summary}${done.copied.verified ? '; checked' : ''}.`)
    return to.kind === 'stream' ? undefined : done.copied
  }
}
