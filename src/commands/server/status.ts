import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

interface ServerStatusOutput {
  running: boolean
  pid: number | null
  urls: string[]
  startedAt: string | null
  version: string | null
  /** SHA-256 of its certificate; null without TLS. */
  fingerprint: string | null
  ssh: {host: string; port: number; fingerprint: string; publicKey: string} | null
}

export default class ServerStatus extends BaseCommand {
  static override summary = 'Show whether the control server of this machine runs, and where it answers.'
  static override description = 'Ends with 1 when it does not run.'
  static override examples = ['<%= config.bin %> server status', '<%= config.bin %> server status -o json']
  static override flags = {data: Flags.directory({description: 'data directory that it was started with'})}

  async run(): Promise<ServerStatusOutput> {
    const {flags} = await this.parse(ServerStatus)
    const {serverDirectory} = await import('../../main/local-fleet.ts')
    const {readRunFile} = await import('../../main/run-file.ts')
    const run = await readRunFile(serverDirectory(flags.data))
    if (!run) {
      const {nothingRuns} = await import('../../main/service-look.ts')
      this.log(await nothingRuns('gpuctl-server', 'No control server runs here. Start one: gpuctl up'))
      process.exitCode = 1
      return {running: false, pid: null, urls: [], startedAt: null, version: null, fingerprint: null, ssh: null}
    }
    const [main = ''] = run.urls
    this.log(`API        ${run.urls.join('  ')}`)
    if (run.fingerprint) this.log(`Certificate SHA256:${run.fingerprint}`)
    if (run.ssh) this.log(`SSH jump   ${run.ssh.host}:${run.ssh.port}   ${run.ssh.fingerprint}`)
    this.log(`Dashboard  ${main}/dashboard`)
    this.log(`Swagger    ${main}/swagger/index.html`)
    this.log(`Running    pid ${run.pid}, version ${run.version}, since ${run.startedAt}`)
    return {
      running: true,
      pid: run.pid,
      urls: run.urls,
      startedAt: run.startedAt,
      version: run.version,
      fingerprint: run.fingerprint ?? null,
      ssh: run.ssh ?? null,
    }
  }
}
