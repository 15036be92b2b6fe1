import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {readDetachKeys} from '../../cli/detach-keys.ts'
import {runRemotely} from '../../cli/remote-command.ts'

export default class InstanceTerminal extends BaseCommand {
  static override summary = 'Open a shell in a running instance.'
  static override description =
    'The wanted shell, else bash, else sh, as a login shell. The exit code is its own; ctrl-p ctrl-q leaves it running.'
  static override examples = [
    '<%= config.bin %> instance terminal train',
    '<%= config.bin %> instance terminal train --shell zsh',
  ]
  static override args = {instance: Args.string({description: 'id or name', required: true})}
  static override flags = {
    shell: Flags.string({description: 'name or path of a shell in the instance'}),
    'detach-keys': Flags.string({
      description: 'keys that leave the shell running; empty for none',
      default: 'ctrl-p,ctrl-q',
    }),
  }

  async run(): Promise<undefined> {
    const {args, flags} = await this.parse(InstanceTerminal)
    const client = this.client(flags)
    const code = await runRemotely({
      open: size =>
        client.terminal('instances.terminal', {
          ...{id: args.instance, shell: flags.shell, term: process.env.TERM || undefined},
          ...size,
        }),
      tty: true,
      stdin: true,
      detachKeys: readDetachKeys(flags['detach-keys']),
    })
    if (code === undefined) this.notice('Left; the shell runs on.')
    process.exitCode = code ?? 0
    return undefined
  }
}
