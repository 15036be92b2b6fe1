import {BaseCommand} from '../cli/base-command.ts'
import {exitCode} from '../cli/exit-codes.ts'
import {usageError} from '../cli/failure.ts'
import type {Outcome} from '../cli/manifests/outcome.ts'
import {manifestFlags} from './apply.ts'

export default class Diff extends BaseCommand {
  static override summary = 'Show what apply would change. Ends with 10 where something differs.'
  static override description =
    'Each thing that is not as its file says is shown with + (is not there), ~ (differs) or - (with --prune: would go), and its members with what is and what is wanted.'
  static override examples = ['<%= config.bin %> diff -f fleet.yml', '<%= config.bin %> diff -f fleet/ --prune -o json']
  static override flags = manifestFlags

  async run(): Promise<Outcome[]> {
    const {flags} = await this.parse(Diff)
    if (!flags.file) throw usageError('--file is missing.', 'Give -f with a file, a folder, or - for standard input.')
    const {readManifests} = await import('../cli/manifests/read.ts')
    const {planOf} = await import('../cli/manifests/plan.ts')
    const {diffLines, outcomeColumns, outcomeOf} = await import('../cli/manifests/outcome.ts')
    const wanted = await readManifests(flags.file)
    const client = this.client(flags)
    const made = flags.prune ? await client.call('applied.list', {set: flags.set}) : []
    const steps = (await planOf(client, wanted, made)).filter(({action}) => action !== 'none')
    const outcomes = steps.map(outcomeOf)
    if (steps.length > 0) process.exitCode = exitCode.differs
    const {format, quiet} = this.mode
    if (quiet || format === 'csv' || format === 'tsv' || format === 'name') {
      return this.list(outcomes, outcomeColumns, 'Nothing differs.')
    }
    for (const line of steps.flatMap(diffLines)) this.log(line)
    if (steps.length === 0) this.notice('Nothing differs.')
    return outcomes
  }
}
