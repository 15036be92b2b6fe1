import {Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {exitCode} from '../cli/exit-codes.ts'
import {usageError} from '../cli/failure.ts'
import type {Outcome} from '../cli/manifests/outcome.ts'

/** What apply and diff share. */
export const manifestFlags = {
  file: Flags.string({
    char: 'f',
    description: 'file or folder with YAML, - for standard input; may be repeated',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: '<path>',
  }),
  prune: Flags.boolean({description: 'also remove what apply made earlier for this set and no file names any more'}),
  set: Flags.string({description: 'name of this set of files, for --prune', default: 'default', helpValue: '<name>'}),
}

export default class Apply extends BaseCommand {
  static override summary = 'Make specs, images, quotas, pools, instances and claims as files describe them.'
  static override description =
    'A file holds YAML documents, each with a `kind` and the members of the command that creates such a thing. What is there already is changed where it differs; members that a file leaves out stay as they are. The same files again change nothing. What runs is never changed: a claim or an instance that differs is refused before anything is done. With --dry-run nothing is done, and the exit code is 10 where something would be. `--schema` prints a JSON Schema for editors.'
  static override examples = [
    '<%= config.bin %> apply -f fleet.yml',
    '<%= config.bin %> apply -f fleet/ --prune --yes',
    '<%= config.bin %> apply -f team-a/ --set team-a --prune --yes',
    '<%= config.bin %> export spec image | <%= config.bin %> apply -f - --dry-run',
    '<%= config.bin %> apply --schema > gpuctl.schema.json',
  ]
  static override flags = {
    ...manifestFlags,
    'dry-run': Flags.boolean({char: 'n', description: 'only say what would be done; exit 10 if anything'}),
    schema: Flags.boolean({description: 'print the JSON Schema of the files', exclusive: ['file', 'prune', 'dry-run']}),
  }

  async run(): Promise<Outcome[] | object> {
    const {flags} = await this.parse(Apply)
    const {default: schema} = await import('../cli/manifests/schema.json', {with: {type: 'json'}})
    if (flags.schema) {
      this.log(JSON.stringify(schema, undefined, 2))
      return schema
    }
    if (!flags.file) throw usageError('--file is missing.', 'Give -f with a file, a folder, or - for standard input.')
    const {readManifests} = await import('../cli/manifests/read.ts')
    const {planOf, refuseFixed} = await import('../cli/manifests/plan.ts')
    const {outcomeColumns, outcomeOf} = await import('../cli/manifests/outcome.ts')
    const wanted = await readManifests(flags.file)
    const client = this.client(flags)
    const steps = await planOf(client, wanted, flags.prune ? await client.call('applied.list', {set: flags.set}) : [])
    refuseFixed(steps)
    const isPlain = this.mode.format === undefined || this.mode.format === 'table' || this.mode.format === 'wide'
    const outcomes = steps.map(outcomeOf)
    const tell = async (outcome: Outcome, more = '') => {
      if (isPlain && !this.mode.quiet) this.log(`${outcome.name} ${outcome.action}${more}`)
    }
    if (flags['dry-run']) {
      for (const one of outcomes) await tell(one, one.action === 'unchanged' ? '' : ' (dry run)')
      if (outcomes.some(({action}) => action !== 'unchanged')) process.exitCode = exitCode.differs
    } else {
      const going = outcomes.filter(({action}) => action === 'removed').map(({name}) => name)
      if (going.length > 0) await this.consent(`Remove ${going.join(', ')}?`, flags)
      const {carryOut} = await import('../cli/manifests/carry-out.ts')
      const making = {applySet: flags.set, quiet: this.mode.quiet, timeoutMs: flags.timeout}
      await carryOut(client, steps, {making, tell: step => tell(outcomeOf(step))})
    }
    if (!isPlain) await this.list(outcomes, outcomeColumns, '')
    return outcomes
  }
}
