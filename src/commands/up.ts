import {Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {saveContext} from '../cli/context.ts'
import {agentFlags} from './agent/start.ts'
import {serverFlags} from './server/start.ts'

interface UpOutput {
  server: {
    url: string
    urls: string[]
    pid: number
    started: boolean
    ssh: {host: string; port: number; fingerprint: string; publicKey: string} | null
  }
  node: {status: string; name: string; code: string; runtime: string; pid: number; started: boolean}
  context: string
  /** Of the administrator; only at the very first start. */
  password: string | null
}

const contextName = 'local'

export default class Up extends BaseCommand {
  static override summary = 'Start a control server and an agent on this machine, and select them.'
  static override description =
    'Makes the context `local` and selects it, so that every command works at once. Run again it changes nothing. In the foreground Ctrl-C ends both; with --detach they stay, and `down` ends them. Data is kept in either case.'
  static override examples = [
    '<%= config.bin %> up',
    '<%= config.bin %> up --detach --fake-gpus 2xRTX4090',
    '<%= config.bin %> up --detach --listen 127.0.0.1:0 -o json',
  ]
  static override flags = {
    ...serverFlags,
    ...agentFlags,
    detach: Flags.boolean({char: 'd', description: 'leave both in the background'}),
  }

  async run(): Promise<UpOutput> {
    const {flags} = await this.parse(Up)
    const fleet = await import('../main/local-fleet.ts')
    await fleet.checkAgentStart({runtime: flags.runtime, fakeGpus: flags['fake-gpus']})
    const server = await fleet.startServer({
      program: this.program,
      listen: flags.listen,
      alsoListen: flags['also-listen'] ?? [],
      sshPort: flags['ssh-port'],
    })
    const [url = ''] = server.run.urls
    const token = await fleet.readLocalToken()
    await saveContext(contextName, {server: url, token, use: true})
    const agent = await fleet
      .startAgent({program: this.program, server: url, runtime: flags.runtime, fakeGpus: flags['fake-gpus']})
      .catch(async error => {
        if (server.started) {
          await fleet.stopLocalFleet(10_000)
          this.notice('The control server is ended again; its data stays.')
        }
        throw error
      })
    if (!server.started) this.#noteIdle(['listen', 'also-listen', 'ssh-port'], `control server (${url})`)
    if (!agent.started) this.#noteIdle(['runtime', 'fake-gpus'], 'agent')
    const {status = '', name = '', code = '', runtime = ''} = agent.run.node ?? {}
    const output: UpOutput = {
      server: {url, urls: server.run.urls, pid: server.run.pid, started: server.started, ssh: server.run.ssh ?? null},
      node: {status, name, code, runtime, pid: agent.run.pid, started: agent.started},
      context: contextName,
      password: (await fleet.takeFirstPassword()) ?? null,
    }
    this.#print(output)
    if (!flags.detach) await this.#stay(output, fleet.stopLocalFleet)
    return output
  }

  /** Flags of a start that this call did not make. */
  #noteIdle(names: string[], what: string): void {
    const typed = new Set(this.argv.map(word => word.split('=')[0]))
    const idle = names.map(name => `--${name}`).filter(flag => typed.has(flag))
    if (idle.length === 0) return
    this.notice(`The ${what} runs already; without effect: ${idle.join(', ')}. Run \`gpuctl down\` first.`)
  }

  #print({server, node, password}: UpOutput): void {
    this.log(`  API        ${server.urls.join('  ')}    Dashboard  …/dashboard    Swagger  …/swagger/index.html`)
    if (server.ssh) this.log(`  SSH jump   ${server.ssh.host}:${server.ssh.port}   ${server.ssh.fingerprint}`)
    if (password) this.log(`  Admin      admin / ${password}   (shown once)`)
    this.log(`  Context    ${contextName} is now current`)
    if (node.code) {
      this.log(`  Node       this machine asks to join with code ${node.code}`)
      this.log(`  Next       gpuctl node approve ${node.code}`)
    } else if (node.status === 'refused') {
      this.log('  Node       the server refuses this machine; `gpuctl agent status` says what to do')
    } else {
      this.log(`  Node       ${node.name} is ${node.status}`)
      this.log('  Next       gpuctl claim submit --image IMAGE --gpus 1 --wait')
    }
  }

  /** Until Ctrl-C; then what this call started is ended. */
  async #stay({server, node}: UpOutput, stop: (graceMs: number) => Promise<unknown>): Promise<void> {
    if (!server.started && !node.started) return
    this.logToStderr('Ctrl-C ends both; their data stays.')
    await new Promise<void>(resolve => {
      const keepAlive = setInterval(() => {}, 60_000)
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.once(signal, () => {
          clearInterval(keepAlive)
          resolve()
        })
      }
    })
    await stop(10_000)
  }
}
