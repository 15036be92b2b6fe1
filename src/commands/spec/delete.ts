import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class SpecDelete extends BaseCommand {
  static override summary = 'Take a spec out of the catalogue.'

  static override examples = ['<%= config.bin %> spec delete small', '<%= config.bin %> spec rm small']
  static override args = {spec: Args.string({description: 'id or name', required: true})}

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(SpecDelete)

    const done = await this.client(flags).call('specs.delete', {id: args.spec})
    this.say(`Spec ${args.spec} is out of the catalogue.`, {id: args.spec, name: args.spec})
    return done
  }
}
