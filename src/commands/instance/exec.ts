import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {usageError} from '../../cli/failure.ts'
import {runRemotely} from '../../cli/remote-command.ts'

export default class InstanceExec extends BaseCommand {
  static override summary = 'Run a command in a running instance, with its input, output and exit code.'
  static override description =
    'Everything behind the name belongs to the command. The exit code is its own; 255 when the connection breaks.'
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
    workdir: Flags.string({description: 'folder to begin in'}),
    env: Flags.string({
      char: 'e',
      description: 'variable KEY=VALUE; may be repeated',
      multiple: true,
      multipleNonGreedy: true,
    }),
  }

  async run(): Promise<undefined> {
    const {args, flags, argv} = await this.parse(InstanceExec)
    const command = (argv as string[]).slice(1)
    if (command.length === 0) throw usageError('Which command?', `As \`gpuctl exec ${args.instance} -- sh\`.`)
    process.exitCode = await runRemotely(this.client(flags), {
      id: args.instance,
      command,
      tty: flags.tty || undefined,
      stdin: flags.stdin || undefined,
      user: flags.user,
      workingDir: flags.workdir,
      env: flags.env,
    })
    return undefined
  }
}
