import {ListCommand} from '../../cli/list-command.ts'
import type {Column} from '../../cli/output/column.ts'

interface ContextOutput {
  name: string
  server: string
  user: string | null
  current: boolean
}

const contextColumns: Column<ContextOutput>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'server', value: ({server}) => server},
  {name: 'user', value: ({user}) => user},
  {name: 'current', value: ({current}) => (current ? 'current' : '')},
]

export default class ContextList extends ListCommand {
  static override summary = 'List the servers that this machine knows.'
  static override examples = ['<%= config.bin %> context list', '<%= config.bin %> context list -o json']

  async run(): Promise<ContextOutput[]> {
    await this.parse(ContextList)
    const {contexts, current} = this.settings
    const rows = Object.values(contexts).map(({name, server, user}) => ({
      name,
      server,
      user: user ?? null,
      current: name === current,
    }))
    return this.list(
      rows,
      contextColumns,
      'No server is known yet. Make one with `gpuctl up` or `gpuctl login SERVER`.',
    )
  }
}
