import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class ServerStop extends BaseCommand {
  static override summary = 'End the control server of this machine; its data stays.'
  static override examples = ['<%= config.bin %> server stop', '<%= config.bin %> server stop --grace 30']
  static override flags = {
    grace: Flags.integer({
      description: 'seconds that calls under way may take to finish',
      default: 10,
      min: 0,
      max: 600,
    }),
    data: Flags.directory({description: 'data directory that it was started with'}),
  }

  async run(): Promise<{stopped: boolean}> {
    const {flags} = await this.parse(ServerStop)
    const {serverDirectory} = await import('../../main/local-fleet.ts')
    const {stopInBackground} = await import('../../main/background.ts')
    const stopped = await stopInBackground(serverDirectory(flags.data), flags.grace * 1000)
    this.log(stopped ? 'The control server has ended.' : 'No control server runs here.')
    return {stopped}
  }
}
