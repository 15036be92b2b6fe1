import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {Column} from '../../cli/output/column.ts'
import {preferences} from '../../cli/preferences.ts'

interface ConfigOutput {
  name: string
  value: string | null
  /** A flag, a variable, the path of a file, or `default`. */
  origin: string
}

export default class ConfigList extends BaseCommand {
  static override summary = 'List the settings of this command line: which server, and the defaults of flags.'
  static override examples = ['<%= config.bin %> config list', '<%= config.bin %> config list --origin']
  static override flags = {origin: Flags.boolean({description: 'where each value comes from'})}

  async run(): Promise<ConfigOutput[]> {
    const {flags} = await this.parse(ConfigList)
    const choice = this.choose(flags)
    const token = await this.findToken(choice)
    const rows: ConfigOutput[] = [
      {name: 'server', value: choice.server, origin: choice.origin},
      {name: 'context', value: choice.context?.name ?? null, origin: choice.origin},
      {name: 'token', value: token ? '******' : null, origin: token?.from ?? 'default'},
      ...Object.entries(preferences).map(([name, {variable}]) => ({
        name,
        value: process.env[variable] || null,
        origin: this.#originOf(name, variable),
      })),
    ]
    const columns: Column<ConfigOutput>[] = [
      {name: 'name', value: ({name}) => name},
      {name: 'value', value: ({value}) => value},
      {name: 'origin', value: ({origin}) => origin, wide: !flags.origin},
    ]
    return this.list(rows, columns, '')
  }

  /** Where a file says what the variable says, the variable was made of it. */
  #originOf(name: string, variable: string): string {
    const value = process.env[variable]
    if (!value) return 'default'
    const {defaults, origins} = this.settings
    return defaults[name] === value ? (origins[name] ?? variable) : variable
  }
}
