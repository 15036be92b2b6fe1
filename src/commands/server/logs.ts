import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class ServerLogs extends BaseCommand {
  static override summary = 'Print the log of the control server that runs in the background here.'
  static override examples = ['<%= config.bin %> server logs', '<%= config.bin %> server logs --tail 20']
  static override flags = {
    tail: Flags.integer({char: 'n', description: 'last lines only', min: 0}),
    data: Flags.directory({description: 'data directory that it was started with'}),
  }

  async run(): Promise<{lines: string[]}> {
    const {flags} = await this.parse(ServerLogs)
    const {readServerLog} = await import('../../main/local-fleet.ts')
    const text = await readServerLog(flags.data)
    const all = text.split('\n').filter(Boolean)
    const lines = flags.tail === undefined ? all : all.slice(all.length - Math.min(flags.tail, all.length))
    for (const line of lines) this.log(line)
    return {lines}
  }
}
