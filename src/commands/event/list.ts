import {Flags} from '@oclif/core'
import {globalFlags, listFlags} from '../../cli/global-flags.ts'
import {eventColumns} from '../../cli/listings.ts'
import {StreamCommand} from '../../cli/stream-command.ts'
import {readTime} from '../../cli/units.ts'
import type {Event} from '../../contract/schemas/server.ts'

export default class EventList extends StreamCommand {
  protected override readonly followsItself = true
  static override summary = 'List what happened, newest last; with -w also what happens from now on.'
  static override examples = [
    '<%= config.bin %> event list --limit 20',
    '<%= config.bin %> event list --kind claim --object train -o json',
    '<%= config.bin %> event list -w --since 10m',
  ]
  static override baseFlags = {...globalFlags, ...listFlags}
  static override flags = {
    kind: Flags.option({
      description: 'only about these',
      options: ['node', 'claim', 'instance', 'user', 'token', 'image', 'spec', 'server', 'runtime', 'task'] as const,
    })(),
    object: Flags.string({description: 'only about this one (id or name)'}),
    after: Flags.integer({description: 'only with a greater number', min: 0}),
    since: Flags.string({description: 'only what is not older, as 10m or 2d; or a time', helpValue: '<duration>'}),
  }

  async run(): Promise<Event[] | undefined> {
    const {flags} = await this.parse(EventList)
    const {kind, object, after, limit} = flags
    const client = this.client(flags)
    const sinceMs = flags.since === undefined ? undefined : readTime(flags.since, '--since')
    const isWanted = ({at}: Event) => sinceMs === undefined || Date.parse(at) >= sinceMs
    if (!flags.watch) {
      const events = (await client.call('events.list', {kind, object, after, limit})).filter(isWanted)
      return this.list(
        events,
        eventColumns,
        sinceMs === undefined ? 'Nothing happened yet.' : 'Nothing happened since.',
      )
    }
    return this.untilInterrupted(async signal => {
      // Those of before come once more where one happens between the two calls: told apart by their numbers.
      let last = after ?? 0
      const print = async (event: Event) => {
        if (event.number <= last) return
        last = event.number
        await this.emit(event, () =>
          [event.at, `${event.kind}/${event.objectName}`, event.type, event.message].join('\t'),
        )
      }
      const news = client.events('events.stream', {kind, object}, {signal})
      if (sinceMs !== undefined || limit !== undefined || after !== undefined) {
        for (const event of (await client.call('events.list', {kind, object, after, limit})).filter(isWanted))
          await print(event)
      }
      for await (const {event, data} of news) if (event === 'message') await print(data)
      return undefined
    })
  }
}
