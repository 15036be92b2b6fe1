import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {instanceColumns} from '../../cli/listings.ts'
import type {Instance} from '../../contract/schemas/instances.ts'

export default class InstanceList extends ListCommand {
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
  }

  async run(): Promise<Instance[]> {
    const {flags} = await this.parse(InstanceList)
    const client = this.client(flags)
    const {status} = flags
    const [all, finished] = [flags.all || undefined, flags.finished || undefined]
    const found = await this.pages(flags, page => client.call('instances.list', {status, all, finished, ...page}))
    return this.list(found, instanceColumns, 'There are no instances.')
  }
}
