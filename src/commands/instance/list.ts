import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {instanceColumns} from '../../cli/listings.ts'
import type {Instance} from '../../contract/schemas/instances.ts'

export default class InstanceList extends BaseCommand {
  static override summary = 'List your instances.'

  static override examples = [
    '<%= config.bin %> instance list',
    '<%= config.bin %> ps',
    '<%= config.bin %> instance list --finished --all -o json',
  ]
  static override flags = {
    status: Flags.option({
      description: 'only these',
      options: ['creating', 'running', 'stopping', 'exited', 'failed', 'deleting', 'unknown'] as const,
    })(),
    all: Flags.boolean({description: 'of all users (administrators)'}),
    finished: Flags.boolean({description: 'also those whose claim is over'}),
    limit: Flags.integer({description: 'at most so many', min: 1, max: 1000}),
  }

  async run(): Promise<Instance[]> {
    const {flags} = await this.parse(InstanceList)
    const found = await this.client(flags).call('instances.list', {
      status: flags.status,
      all: flags.all || undefined,
      finished: flags.finished || undefined,
      limit: flags.limit,
    })
    return this.list(found, instanceColumns, 'There are no instances.')
  }
}
