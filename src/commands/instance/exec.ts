import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {readDetachKeys} from '../../cli/detach-keys.ts'
import {usageError} from '../../cli/failure.ts'
import {runRemotely} from '../../cli/remote-command.ts'

export default class InstanceExec extends BaseCommand {
  static override summary = 'Run a command in a running instance, with its input, output and exit code.'
  static override description =
    'Everything behind the name belongs to the command. The exit code is its own; 255 when the connection breaks. Ctrl-C goes to the command; a second one ends this program. With -it, ctrl-p ctrl-q leaves it running.'
  static override examples = [
    '<%= config.bin %> instance exec train -- nvidia-smi',
    '<%= config.bin %> exec -it train bash',
    'echo 1 | <%= config.bin %> exec -i train -- tee /tmp/one',
  ]
  static override strict = false
  static override args = {instance: Args.string({description: 'id or name', required: true})}
  static override flags = {
    stdin: Flags.boolean({char: 'i', description: 'send our standard input'}),
    tty: Flags.boolean({char: 't', description: 'as at a terminal'}),
    user: Flags.string({char: 'u', description: 'user in the container'}),
    workdir: Flags.string({char: 'w', description: 'folder to begin in'}),
    env: Flags.string({
      char: 'e',
      description: 'variable KEY=VALUE; may be repeated',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'detach-keys': Flags.string({
      description: 'keys that leave the command running; empty for none',
      default: 'ctrl-p,ctrl-q',
    }),
  }

  async run(): Promise<undefined> {
    const {args, flags, argv} = await this.parse(InstanceExec)
    const command = (argv as string[]).slice(1)
    if (command.length === 0) throw usageError('Which command?', `As \`gpuctl exec ${args.instance} -- sh\`.`)
    const {tty, stdin, user, workdir: workingDir, env} = flags
    const detachKeys = readDetachKeys(flags['detach-keys'])
    const input = {id: args.instance, command, tty: tty || undefined, stdin: stdin || undefined, user, workingDir, env}
    const client = this.client(flags)
    const code = await runRemotely({
      open: size => client.terminal('instances.exec', {...input, ...size}),
      ...{tty, stdin, detachKeys},
    })
    if (code === undefined) this.notice('Left; the command runs on.')
    process.exitCode = code ?? 0
    return undefined
  }
}
