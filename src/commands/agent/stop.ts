import {BaseCommand} from '../../cli/base-command.ts'

export default class AgentStop extends BaseCommand {
  static override summary = 'End the agent of this machine; its containers run on.'
  static override examples = ['<%= config.bin %> agent stop', '<%= config.bin %> agent stop -o json']

  async run(): Promise<{stopped: boolean}> {
    await this.parse(AgentStop)
    const {agentDirectory} = await import('../../main/local-fleet.ts')
    const {stopInBackground} = await import('../../main/background.ts')
    const {readRunFile} = await import('../../main/run-file.ts')
    const {nothingRuns, runsAs} = await import('../../main/service-look.ts')
    const run = await readRunFile(agentDirectory())
    if (run && (await runsAs('gpuctl-agent', run.pid))) {
      const {CannotStart} = await import('../../main/settings.ts')
      throw new CannotStart(
        'systemd runs this agent, and would start it again.',
        'Use `sudo systemctl stop gpuctl-agent`.',
      )
    }
    const stopped = await stopInBackground(agentDirectory(), 10_000)
    this.log(
      stopped
        ? 'The agent has ended; its containers run on.'
        : await nothingRuns('gpuctl-agent', 'No agent runs here.'),
    )
    return {stopped}
  }
}
