import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import type {Column} from '../../cli/output/column.ts'
import {ago} from '../../cli/output/figures.ts'
import {readTime} from '../../cli/units.ts'
import type {AuditRow} from '../../contract/schemas/audit.ts'

const auditColumns: Column<AuditRow>[] = [
  {name: 'number', value: ({number}) => number, wide: true},
  {name: 'time', value: ({at}) => at, shown: ({at}) => ago(at)},
  {name: 'actor', value: ({actor}) => actor},
  {name: 'action', value: ({action}) => action},
  {name: 'object', value: ({object}) => object},
  {name: 'details', value: ({details}) => JSON.stringify(details)},
  {name: 'request', value: ({requestId}) => requestId, wide: true},
]

export default class AuditList extends ListCommand {
  static override summary = 'List who changed what, newest last.'
  static override examples = [
    '<%= config.bin %> audit list --user ada --since 2d',
    '<%= config.bin %> audit list --action nodes. --limit 20 -o json',
  ]
  static override flags = {
    user: Flags.string({description: 'only by this user (user name)'}),
    action: Flags.string({description: 'only this operation, as users.create; users. for all of users'}),
    object: Flags.string({description: 'only about this one (id)'}),
    since: Flags.string({description: 'only what is not older, as 10m or 2d; or a time', helpValue: '<duration>'}),
  }

  async run(): Promise<AuditRow[]> {
    const {flags} = await this.parse(AuditList)
    const {user: actor, action, object, limit} = flags
    const since = flags.since === undefined ? undefined : new Date(readTime(flags.since, '--since')).toISOString()
    const rows = await this.client(flags).call('audit.list', {actor, action, object, since, limit})
    return this.list(rows, auditColumns, 'Nothing was changed.')
  }
}
