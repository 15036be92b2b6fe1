import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {placeFlags} from './backup.ts'

export default class ServerRestart extends BaseCommand {
  static override summary = 'End the control server of this machine and start it in the background, where it was.'
  static override description =
    'It answers at the same addresses as before; where none runs it is started as `server init` said. Containers run on meanwhile, and agents come back by themselves.'
  static override examples = ['<%= config.bin %> server restart', '<%= config.bin %> server restart --grace 60 -o json']
  static override flags = {
    ...placeFlags,
    grace: Flags.integer({
      description: 'seconds that calls under way may take to finish',
      default: 10,
      min: 0,
      max: 600,
    }),
  }

  async run(): Promise<{urls: string[]; pid: number; stopped: boolean}> {
    const {flags} = await this.parse(ServerRestart)
    const {restartServer} = await import('../../main/server-restart.ts')
    const {run, stopped} = await restartServer({
      ...{program: this.program, data: flags.data, database: flags.db},
      graceMs: flags.grace * 1000,
    })
    this.log(`The control server ${stopped ? 'runs again' : 'is started'} at ${run.urls.join(', ')} (pid ${run.pid}).`)
    return {urls: run.urls, pid: run.pid, stopped}
  }
}
