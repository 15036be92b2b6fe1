import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'

export default class SpecDelete extends ChangeCommand {
  static override summary = 'Take a spec out of the catalogue.'

  static override examples = ['<%= config.bin %> spec delete small', '<%= config.bin %> spec rm small']
  static override strict = false
  static override args = {spec: Args.string({description: 'id or name; may be repeated', required: true})}

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(SpecDelete)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const done = await client.call('specs.delete', {id})
      this.say(`Spec ${id} is out of the catalogue.`, {id, name: id})
      return done
    })
  }
}
