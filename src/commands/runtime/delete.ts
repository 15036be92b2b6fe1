import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'

export default class RuntimeDelete extends ChangeCommand {
  static override summary = 'Forget an inference runtime; its token is worth nothing from now on.'
  static override description = 'One that still runs may register again, and then waits for approval.'
  static override examples = [
    '<%= config.bin %> runtime delete server-01',
    '<%= config.bin %> runtime rm server-01 --yes',
  ]
  static override strict = false
  static override args = {runtime: Args.string({description: 'id or name; may be repeated', required: true})}

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(RuntimeDelete)
    const client = this.client(flags)
    return this.each(argv, async id => {
      await this.consent(`Forget the runtime ${id}?`, flags)
      const done = await client.call('runtimes.delete', {id})
      this.say(`${id} is forgotten; its token is worth nothing any more.`, {id, name: id})
      return done
    })
  }
}
