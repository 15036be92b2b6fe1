import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {fetchNames} from '../../cli/completion/fetch-names.ts'
import {type Kind, kinds} from '../../cli/completion/kinds.ts'
import {encodeNames, namesPath, scopeOf} from '../../cli/completion/names.ts'
import {cacheDirectory, configDirectory} from '../../cli/places.ts'
import {removeOld, writePrivately} from '../../cli/private-file.ts'

const oldMs = 7 * 24 * 60 * 60 * 1000

/** What completion starts behind a Tab. */
export default class CompletionRefresh extends BaseCommand {
  static override hidden = true
  static override summary = 'Fetch the names that completion offers.'
  static override examples = [
    '<%= config.bin %> completion refresh node',
    '<%= config.bin %> completion refresh instance --context lab',
  ]
  static override args = {kind: Args.string({description: 'kind of things', required: true, options: [...kinds]})}

  async run(): Promise<{kind: string; names: number}> {
    const {args, flags} = await this.parse(CompletionRefresh)
    const kind = args.kind as Kind
    const {server, context} = flags
    const places = {env: process.env, folder: process.cwd(), configDirectory: configDirectory()}
    const scope = scopeOf({...places, server: given(this.argv, server), context: given(this.argv, context)})
    const path = namesPath(cacheDirectory(), scope, kind)
    const names = await fetchNames(kind, this.client(flags), this.settings)
    await writePrivately(path, encodeNames(scope, names))
    await removeOld(path, oldMs)
    return {kind, names: names.length}
  }
}

/** A flag's value where it was typed, not where the environment gave it. */
function given(argv: readonly string[], value: string | undefined): string | undefined {
  return value !== undefined && argv.some(word => word === value || word.endsWith(`=${value}`)) ? value : undefined
}
