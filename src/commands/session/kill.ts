import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import {openSessions, sessionFlags} from '../../cli/open-sessions.ts'

export default class SessionKill extends ChangeCommand {
  static override summary = 'End an open session, yours or (administrators) anybody’s.'
  static override description =
    'With --user, --instance or --all it ends those that `session list` shows with them, and asks first.'
  static override examples = [
    '<%= config.bin %> session kill 3',
    '<%= config.bin %> session kill 3f9a1c',
    '<%= config.bin %> session kill --user bob --yes',
  ]
  static override strict = false
  static override args = {session: Args.string({description: 'number or id; may be repeated'})}
  static override flags = sessionFlags

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(SessionKill)
    const {all, user, instance} = flags
    const isMany = all || user !== undefined || instance !== undefined
    if (argv.length > 0 === isMany) {
      throw usageError('Which sessions?', 'Give their numbers or ids, or --user, --instance or --all.')
    }
    const client = this.client(flags)
    if (!isMany) return this.each(argv, id => this.#kill(id, () => client.call('sessions.kill', {id})))
    const found = await openSessions(client, {all, user, instance})
    if (found.length === 0) {
      this.say('No such session is open.')
      return []
    }
    const words = found.map(one => `${one.number} (${one.kind} of ${one.user} in ${one.instance || 'the menu'})`)
    await this.consent(`End ${words.join(', ')}?`, flags)
    const ended = await this.each(
      found.map(({id}) => id),
      id => this.#kill(id, () => client.call('sessions.kill', {id})),
    )
    return [ended].flat() as Several<{done: true}>
  }

  async #kill(id: string, act: () => Promise<{done: true}>): Promise<{done: true}> {
    const done = await act()
    this.say(`Session ${id} is ended.`, {id, name: id})
    return done
  }
}
