import {BaseCommand} from '../../cli/base-command.ts'

export default class AgentStop extends BaseCommand {
  static override summary = 'End the agent of this machine; its containers run on.'
  static override examples = ['<%= config.bin %> agent stop', '<%= config.bin %> agent stop -o json']

  async run(): Promise<{stopped: boolean}> {
    await this.parse(AgentStop)
    const {agentDirectory} = await import('../../main/local-fleet.ts')
    const {stopInBackground} = await import('../../main/background.ts')
    const stopped = await stopInBackground(agentDirectory(), 10_000)
    this.log(stopped ? 'The agent has ended; its containers run on.' : 'No agent runs here.')
    return {stopped}
  }
}
