import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class AgentLogs extends BaseCommand {
  static override summary = 'Print the log of the agent that runs in the background here.'
  static override examples = ['<%= config.bin %> agent logs', '<%= config.bin %> agent logs --tail 20']
  static override flags = {tail: Flags.integer({char: 'n', description: 'last lines only', min: 0})}

  async run(): Promise<{lines: string[]}> {
    const {flags} = await this.parse(AgentLogs)
    const {readAgentLog} = await import('../../main/local-fleet.ts')
    const all = (await readAgentLog()).split('\n').filter(Boolean)
    const lines = flags.tail === undefined ? all : all.slice(all.length - Math.min(flags.tail, all.length))
    for (const line of lines) this.log(line)
    return {lines}
  }
}
