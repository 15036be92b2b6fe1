import {exitCode} from '../cli/exit-codes.ts'
import {GetCommand} from '../cli/list-command.ts'
import type {FleetStatus} from '../contract/schemas/server.ts'

export default class Status extends GetCommand {
  static override summary = 'Show the fleet on one screen. Ends with 1 when something is broken.'
  static override examples = ['<%= config.bin %> status', '<%= config.bin %> status -o json']

  async run(): Promise<FleetStatus> {
    const {flags} = await this.parse(Status)
    const {server, context} = this.choose(flags)
    const status = await this.client(flags).call('server.status', {})
    const {nodes, gpus, claims, problems} = status
    const simulated = gpus.simulated > 0 ? ` (${gpus.simulated} simulated)` : ''
    await this.show(status, [
      [
        'Server',
        `${server}${context ? ` (${context.name})` : ''}, version ${status.version}, since ${status.startedAt}`,
      ],
      ['Nodes', counts({...nodes})],
      [
        'GPUs',
        `${gpus.total}: ${counts({free: gpus.free, used: gpus.used, unavailable: gpus.unavailable})}${simulated}`,
      ],
      ['Claims', counts({...claims})],
    ])
    for (const problem of problems) this.log(`Problem  ${problem}`)
    if (problems.length > 0) process.exitCode = exitCode.failure
    return status
  }
}

function counts(figures: Record<string, number>): string {
  const some = Object.entries(figures).filter(([, count]) => count > 0)
  return some.map(([word, count]) => `${count} ${word}`).join(', ') || 'none'
}
