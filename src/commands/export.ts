import {Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {usageError} from '../cli/failure.ts'
import {isMachine} from '../cli/global-flags.ts'
import type {Manifest} from '../cli/manifests/read.ts'
import {write} from '../cli/output/machine.ts'
import {topicWords} from '../cli/words.ts'
import {ApiError} from '../client/api-error.ts'

export default class Export extends BaseCommand {
  static override summary = 'Write specs, images, quotas, pools, instances and claims as files that apply reads.'
  static override description =
    'Without words everything that you may see; else of these kinds, or single things as KIND/NAME. Instances and claims are your own live ones. Values of variables (--env) stand in the output as they were given.'
  static override examples = [
    '<%= config.bin %> export > fleet.yml',
    '<%= config.bin %> export spec image -o json',
    '<%= config.bin %> export claim/train -f train.yml',
  ]
  static override strict = false
  static override flags = {
    file: Flags.string({char: 'f', description: 'write into this file, which only you may read', helpValue: '<file>'}),
  }

  async run(): Promise<Manifest[]> {
    const {flags, argv} = await this.parse(Export)
    const {manifestKinds, nameOf} = await import('../cli/manifests/read.ts')
    const {kindOf} = await import('../cli/manifests/plan.ts')
    const client = this.client(flags)
    const words = (argv as string[]).map(word => {
      const [topic = '', ...rest] = word.split('/')
      const kind = manifestKinds.find(one => one === (topicWords[topic] ?? topic))
      if (!kind) throw usageError(`${word} is no kind that is exported.`, `There are ${manifestKinds.join(', ')}.`)
      return {kind, name: rest.length > 0 ? `${kind}/${rest.join('/')}` : undefined}
    })
    const found: Manifest[] = []
    for (const kind of manifestKinds) {
      const asked = words.filter(word => word.kind === kind)
      if (words.length > 0 && asked.length === 0) continue
      const all = await kindOf(kind)
        .list(client)
        .catch(error => {
          if (asked.length > 0 || !(error instanceof ApiError && error.status === 403)) throw error
          this.notice(`Left out: ${kind}s, which your role may not see.`)
          return []
        })
      const names = asked.map(({name}) => name)
      const missing = names.find(name => name !== undefined && !all.some(one => nameOf(one) === name))
      if (missing) throw usageError(`There is no ${missing} to export.`)
      found.push(...all.filter(one => names.length === 0 || names.includes(undefined) || names.includes(nameOf(one))))
    }
    if (isMachine(this.mode.format) && !flags.file) return found
    const {loadYaml} = await import('../cli/yaml.ts')
    const {stringify} = await loadYaml()
    const text = found.map(one => `---\n${stringify(one, {lineWidth: 0, aliasDuplicateObjects: false})}`).join('')
    if (flags.file) {
      const {writePrivately} = await import('../cli/private-file.ts')
      await writePrivately(flags.file, text)
      this.say(`${found.length} things are in ${flags.file}.`)
    } else await write(process.stdout, text)
    return found
  }
}
