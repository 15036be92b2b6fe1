import {BaseCommand} from '../../cli/base-command.ts'

interface AgentStatusOutput {
  running: boolean
  pid: number | null
  server: string | null
  status: string
  name: string
  code: string
  runtime: string
  detail: string
  inference: string
  localApi: string | null
}

export default class AgentStatus extends BaseCommand {
  static override summary = 'Show what the agent of this machine is at: joining with a code, online, or refused.'
  static override description = 'Needs no login. Ends with 1 when no agent runs.'
  static override examples = ['<%= config.bin %> agent status', '<%= config.bin %> agent status -o json']

  async run(): Promise<AgentStatusOutput> {
    await this.parse(AgentStatus)
    const {agentDirectory} = await import('../../main/local-fleet.ts')
    const {readRunFile} = await import('../../main/run-file.ts')
    const run = await readRunFile(agentDirectory())
    if (!run?.node) {
      const {nothingRuns} = await import('../../main/service-look.ts')
      this.log(await nothingRuns('gpuctl-agent', 'No agent runs here. Start one: gpuctl agent start --server URL'))
      process.exitCode = 1
      const nothing = {name: '', code: '', runtime: '', detail: '', localApi: null, inference: ''}
      return {running: false, pid: null, server: null, status: 'stopped', ...nothing}
    }
    const {status, name, code, detail, runtime, inference, localApi = null} = run.node
    const server = run.urls[0] ?? null
    this.log(`Agent      pid ${run.pid}, ${status}${name ? ` as ${name}` : ''}${runtime ? `, runtime ${runtime}` : ''}`)
    this.log(`Server     ${server ?? 'none'}`)
    if (localApi) this.log(`Local API  ${localApi}`)
    if (code) this.log(`Code       ${code}   (gpuctl node approve ${code})`)
    if (detail) this.log(`Detail     ${detail}`)
    if (inference) this.log(`Inference  ${inference}`)
    if (status === 'refused') {
      const {wayBackIn} = await import('../../main/run-agent.ts')
      this.log(wayBackIn())
    }
    return {running: true, pid: run.pid, server, status, name, code, detail, runtime, inference, localApi}
  }
}
