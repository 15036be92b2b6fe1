import {BaseCommand} from '../cli/base-command.ts'

export default class Down extends BaseCommand {
  static override summary = 'End the control server and the agent of this machine; data and containers stay.'
  static override examples = ['<%= config.bin %> down', '<%= config.bin %> down -o json']

  async run(): Promise<{agent: boolean; server: boolean}> {
    await this.parse(Down)
    const {stopLocalFleet} = await import('../main/local-fleet.ts')
    const stopped = await stopLocalFleet(10_000)
    if (!stopped.agent && !stopped.server) this.log('Nothing runs here.')
    if (stopped.agent) this.log('The agent has ended; its containers run on.')
    if (stopped.server) this.log('The control server has ended; its data stays.')
    return stopped
  }
}
