import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'

export default class SessionKill extends ChangeCommand {
  static override summary = 'End an open session, yours or (administrators) anybody’s.'
  static override examples = ['<%= config.bin %> session kill 3', '<%= config.bin %> session kill 3f9a1c']
  static override strict = false
  static override args = {session: Args.string({description: 'number or id; may be repeated', required: true})}

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(SessionKill)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const done = await client.call('sessions.kill', {id})
      this.say(`Session ${id} is ended.`, {id, name: id})
      return done
    })
  }
}
