import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class SessionKill extends BaseCommand {
  static override summary = 'End an open session, yours or (administrators) anybody’s.'
  static override examples = ['<%= config.bin %> session kill 3', '<%= config.bin %> session kill 3f9a1c']
  static override args = {session: Args.string({description: 'number or id', required: true})}

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(SessionKill)
    const done = await this.client(flags).call('sessions.kill', {id: args.session})
    this.say(`Session ${args.session} is ended.`, {id: args.session, name: args.session})
    return done
  }
}
