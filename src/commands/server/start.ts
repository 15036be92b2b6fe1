import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {usageError} from '../../cli/failure.ts'
import {agentFlags} from '../agent/start.ts'

export const serverFlags = {
  listen: Flags.string({
    description: 'address of the API, HOST:PORT; port 0 takes a free one',
    default: '127.0.0.1:8888',
    env: 'GPUCTL_LISTEN',
  }),
  'also-listen': Flags.string({description: 'a further address; may be repeated', multiple: true}),
  'ssh-port': Flags.integer({
    description: 'port of the SSH jump host; 0 = none',
    default: 2026,
    env: 'GPUCTL_SSH_PORT',
    min: 0,
    max: 65_535,
  }),
}

interface ServerStartOutput {
  urls: string[]
  pid: number
  /** With --with-agent. */
  node?: {name: string; code: string; status: string; pid: number; started: boolean}
}

export default class ServerStart extends BaseCommand {
  static override summary = 'Run the control server here; the store is made at the first start.'
  static override description =
    'Runs in the foreground until Ctrl-C, or in the background with --detach. The random password of the first administrator is shown once. Acknowledged work survives a crash at any moment; containers run on while the server is away.'
  static override examples = [
    '<%= config.bin %> server start',
    '<%= config.bin %> server start --detach --listen 0.0.0.0:8888 --tls-cert cert.pem --tls-key key.pem',
    '<%= config.bin %> server start --detach --listen 0.0.0.0:8888 --tls',
    '<%= config.bin %> server start --detach --with-agent --fake-gpus 2xRTX4090',
    'GPUCTL_DATABASE_URL=postgres://gpuctl@db/gpuctl <%= config.bin %> server start',
  ]
  static override flags = {
    ...serverFlags,
    data: Flags.directory({description: 'where store, keys and logs are kept'}),
    db: Flags.string({description: 'postgres:// URL; a SQLite file unless given', env: 'GPUCTL_DATABASE_URL'}),
    'tls-cert': Flags.string({description: 'PEM file of the certificate'}),
    'tls-key': Flags.string({description: 'PEM file of its key'}),
    tls: Flags.boolean({
      description:
        'serve https with a certificate of our own, made at the first start; people log in by its fingerprint',
      exclusive: ['tls-cert', 'tls-key'],
    }),
    detach: Flags.boolean({char: 'd', description: 'in the background'}),
    'with-agent': Flags.boolean({
      description: 'start an agent on this machine, too, as `up` does; `down` ends both',
      dependsOn: ['detach'],
    }),
    'fake-gpus': agentFlags['fake-gpus'],
  }

  async run(): Promise<ServerStartOutput> {
    const {flags, metadata} = await this.parse(ServerStart)
    // A GPUCTL_FAKE_GPUS that is meant for the agent may stand in the environment.
    if (!flags['with-agent'] && this.argv.some(word => /^--fake-gpus(=|$)/.test(word))) {
      throw usageError('--fake-gpus is for an agent.', 'Give --with-agent and --detach with it.')
    }
    const {readServerConfig, withConfig} = await import('../../main/server-config.ts')
    const given = (name: string) => metadata.flags[name]?.setFromDefault === false
    const typed = {
      listen: flags.listen,
      alsoListen: flags['also-listen'] ?? [],
      data: flags.data,
      database: flags.db,
      tlsCert: flags['tls-cert'],
      tlsKey: flags['tls-key'],
      selfSigned: flags.tls,
      sshPort: flags['ssh-port'],
    }
    const options = withConfig(typed, given, await readServerConfig(flags.data))
    if (flags.detach) {
      const {checkAgentStart, startServer, takeFirstPassword} = await import('../../main/local-fleet.ts')
      if (flags['with-agent']) {
        if (options.selfSigned || options.tlsCert) {
          throw usageError(
            '--with-agent starts an agent that reaches the server over http://.',
            'With TLS start it by itself: gpuctl agent start --server https://… --ca-cert FILE.',
          )
        }
        await checkAgentStart({fakeGpus: flags['fake-gpus']})
      }
      const {run, started} = await startServer({...options, program: this.program})
      const password = await takeFirstPassword(flags.data)
      this.log(
        `${started ? 'The control server runs' : 'The control server already runs'} at ${run.urls.join(', ')} (pid ${run.pid}).`,
      )
      if (run.fingerprint) this.log(`Certificate: SHA256:${run.fingerprint}`)
      if (password) this.log(`Administrator: admin / ${password}   (shown once)`)
      const node = flags['with-agent'] ? await this.#startAgent(run.urls[0], flags['fake-gpus']) : undefined
      return {urls: run.urls, pid: run.pid, ...(node && {node})}
    }
    const {serve} = await import('../../main/serve.ts')
    const {takeFirstPassword} = await import('../../main/local-fleet.ts')
    let urls: string[] = []
    await serve({...options, verbose: flags.verbose}, this.config.version, server => {
      urls = server.urls
      this.logToStderr(`The control server listens at ${urls.join(', ')}. Ctrl-C ends it.`)
      if (server.fingerprint) this.logToStderr(`Certificate: SHA256:${server.fingerprint}`)
      // A program that started us in the background takes the password itself.
      if (!process.stderr.isTTY || !server.firstPassword) return
      this.logToStderr(`Administrator: admin / ${server.firstPassword}   (shown once)`)
      void takeFirstPassword(flags.data)
    })
    return {urls, pid: process.pid}
  }

  async #startAgent(server: string | undefined, fakeGpus: string | undefined): Promise<ServerStartOutput['node']> {
    const {startAgent} = await import('../../main/local-fleet.ts')
    const {run, started} = await startAgent({program: this.program, server, fakeGpus})
    const {name = '', code = '', status = ''} = run.node ?? {}
    this.log(`${started ? 'The agent runs' : 'The agent already runs'} (pid ${run.pid}).`)
    if (code) this.log(`It asks to join with code ${code}: gpuctl node approve ${code}`)
    return {name, code, status, pid: run.pid, started}
  }
}
