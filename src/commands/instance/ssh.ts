import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {usageError} from '../../cli/failure.ts'
import type {GlobalFlags} from '../../cli/global-flags.ts'
import {configDirectory} from '../../cli/places.ts'
import {answers, findWay, type SshWay} from '../../cli/ssh/jump-host.ts'
import {quoted, runSsh, sshArguments} from '../../cli/ssh/openssh.ts'
import {proxyCommand} from '../../cli/ssh/proxy-command.ts'

export default class InstanceSsh extends BaseCommand {
  static override summary = 'Open a shell in an instance by SSH, or run a command there.'
  static override description =
    "Uses this machine's ssh, else a built-in one, through the server's jump host with its host key pinned and a key that lives for hours. Where the jump host's port is closed, it goes through the API's. Everything behind the name is the command."
  static override examples = [
    '<%= config.bin %> ssh train',
    '<%= config.bin %> ssh train -- nvidia-smi -l 5',
    '<%= config.bin %> instance ssh -L 8888:localhost:8888 -N notebook',
  ]
  static override strict = false
  static override args = {instance: Args.string({description: 'id or name', required: true})}
  static override flags = {
    local: Flags.string({
      char: 'L',
      description: 'carry a local port, as [ADDRESS:]PORT:HOST:PORT',
      multiple: true,
      multipleNonGreedy: true,
    }),
    dynamic: Flags.string({
      char: 'D',
      description: 'SOCKS proxy at a local port',
      multiple: true,
      multipleNonGreedy: true,
    }),
    identity: Flags.string({char: 'i', description: 'another private key'}),
    tty: Flags.boolean({char: 't', description: 'a terminal also for a command'}),
    'no-command': Flags.boolean({char: 'N', description: 'only carry ports'}),
    print: Flags.boolean({description: 'show the command line of ssh instead of running it'}),
    stdio: Flags.boolean({description: 'join standard input and output with the jump host, for ProxyCommand'}),
  }

  async run(): Promise<undefined> {
    const {args, flags, argv} = await this.parse(InstanceSsh)
    const command = (argv as string[]).slice(1)
    const client = this.client(flags)
    const way = await findWay(client, configDirectory(), args.instance)
    if (flags.identity) way.keyPath = flags.identity
    if (flags.stdio) {
      const {joinStdio} = await import('../../cli/ssh/stdio.ts')
      await joinStdio(client, way)
      return undefined
    }
    const own = [
      ...(flags.local ?? []).flatMap(one => ['-L', one]),
      ...(flags.dynamic ?? []).flatMap(one => ['-D', one]),
      ...(flags.tty ? ['-t'] : []),
      ...(flags['no-command'] ? ['-N'] : []),
    ]
    process.exitCode = await this.#connect(way, own, command, flags)
    return undefined
  }

  async #connect(
    way: SshWay,
    own: string[],
    command: string[],
    flags: GlobalFlags & {print?: boolean; tty?: boolean},
  ): Promise<number> {
    const isDirect = await answers(way)
    const through = isDirect ? undefined : proxyCommand(this.program, this.choose(flags), way.instance.id)
    const args = sshArguments(way, own, command, through)
    const program = process.env.GPUCTL_SSH || 'ssh'
    if (flags.print) {
      this.log([program, ...args.map(quoted)].join(' '))
      return 0
    }
    const code = program === 'builtin' ? undefined : await runSsh(program, args)
    if (code !== undefined) return code
    if (own.some(word => word === '-L' || word === '-D' || word === '-N')) {
      throw usageError(
        'The built-in SSH carries no ports.',
        `Install OpenSSH, or use \`gpuctl instance port-forward\`.`,
      )
    }
    if (!isDirect) {
      throw usageError(
        `The jump host ${way.host}:${way.port} cannot be reached.`,
        `Use \`gpuctl instance terminal ${way.instance.name}\`.`,
      )
    }
    const {runBuiltin} = await import('../../cli/ssh/builtin.ts')
    const isTty = Boolean(process.stdin.isTTY) && (command.length === 0 || Boolean(flags.tty))
    return runBuiltin(way, {command: command.join(' '), tty: isTty})
  }
}
