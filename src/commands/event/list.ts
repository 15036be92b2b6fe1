import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {eventColumns} from '../../cli/listings.ts'
import type {Event} from '../../contract/schemas/server.ts'

export default class EventList extends BaseCommand {
  static override summary = 'List what happened, newest last.'
  static override examples = [
    '<%= config.bin %> event list --limit 20',
    '<%= config.bin %> event list --kind claim --object train -o json',
  ]
  static override flags = {
    kind: Flags.option({
      description: 'only about these',
      options: ['node', 'claim', 'instance', 'user', 'token', 'image', 'spec', 'server', 'runtime', 'task'] as const,
    })(),
    object: Flags.string({description: 'only about this one (id or name)'}),
    after: Flags.integer({description: 'only with a greater number', min: 0}),
    limit: Flags.integer({description: 'at most so many', min: 1, max: 1000}),
  }

  async run(): Promise<Event[]> {
    const {flags} = await this.parse(EventList)
    const {kind, object, after, limit} = flags
    const events = await this.client(flags).call('events.list', {kind, object, after, limit})
    return this.list(events, eventColumns, 'Nothing happened yet.')
  }
}
