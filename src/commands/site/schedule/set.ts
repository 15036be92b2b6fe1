import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import {usageError} from '../../../cli/failure.ts'
import type {Site} from '../../../contract/schemas/sites.ts'

const frequencies = ['manual', 'daily', 'weekly', 'monthly'] as const

export default class SiteScheduleSet extends ChangeCommand {
  static override summary = 'Say when snapshots of a site are made by themselves.'
  static override description =
    'Times are UTC. Those of the schedule are called auto-…, and only they go by themselves; `manual` ends the schedule and keeps them.'
  static override examples = [
    '<%= config.bin %> site schedule set datasets daily --time 03:00 --keep 7',
    '<%= config.bin %> site schedule set datasets weekly --days 0,3 --keep 8 --expire-days 60',
    '<%= config.bin %> site schedule set datasets manual',
  ]
  static override args = {
    site: Args.string({description: 'id, number or name', required: true}),
    frequency: Args.string({description: 'how often', required: true, options: [...frequencies], ignoreStdin: true}),
  }
  static override flags = {
    time: Flags.string({description: 'HH:MM, UTC; 03:00 unless given', helpValue: '<HH:MM>'}),
    days: Flags.string({
      description: 'of the week (0 = Monday) or of the month, with commas between; the first unless given',
      helpValue: '<list>',
    }),
    keep: Flags.integer({description: 'so many stay; 10 unless given', min: 1, max: 400}),
    'expire-days': Flags.integer({description: 'and none longer than so many days', min: 1, max: 3650}),
  }

  async run(): Promise<Site> {
    const {args, flags} = await this.parse(SiteScheduleSet)
    const site = await this.client(flags).call('sites.setSchedule', {
      id: args.site,
      frequency: args.frequency as (typeof frequencies)[number],
      time: flags.time,
      days: readDays(flags.days),
      retentionCopies: flags.keep,
      expireDays: flags['expire-days'],
    })
    const words = site.nextRunAt === null ? 'is made by hand only' : `is made next at ${site.nextRunAt}`
    this.say(`A snapshot of ${site.name} ${words}.`, site)
    return site
  }
}

function readDays(text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,2}(,\d{1,2})*$/.test(text)) return text.split(',').map(Number)
  throw usageError(`--days: ${text} is no list of days.`, 'Write it as 0,3 or 1,15.')
}
