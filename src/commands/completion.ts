import {basename} from 'node:path'
import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {install, placeFor, uninstall} from '../cli/completion/install.ts'
import {type Shell, scripts, shells} from '../cli/completion/scripts.ts'
import {usageError} from '../cli/failure.ts'

interface CompletionOutput {
  shell: Shell
  /** Files that were changed; none where the script was only printed. */
  files: string[]
  script?: string
}

export default class Completion extends BaseCommand {
  static override summary = 'Print the script that completes gpuctl in a shell, or install it.'
  static override description =
    'Names of nodes, instances and so on come from a cache that is renewed in the background: the first Tab may know none yet.'
  static override examples = [
    '<%= config.bin %> completion bash --install',
    '<%= config.bin %> completion zsh > "$HOME/.zfunc/_gpuctl"',
    '<%= config.bin %> completion fish --uninstall --yes',
    '. <(<%= config.bin %> completion bash)',
  ]
  static override args = {
    shell: Args.string({
      description: 'bash, zsh, fish or powershell; with --install that of SHELL',
      options: [...shells],
    }),
  }
  static override flags = {
    install: Flags.boolean({
      description: 'put it where the shell loads it at its start; asks first',
      exclusive: ['uninstall'],
    }),
    uninstall: Flags.boolean({description: 'take it away again; asks first'}),
  }

  async run(): Promise<CompletionOutput> {
    const {args, flags} = await this.parse(Completion)
    const shell = args.shell as Shell | undefined
    if (!flags.install && !flags.uninstall) {
      if (!shell) throw usageError('SHELL is missing.', `Give one of ${shells.join(', ')}.`)
      this.log(scripts[shell].trimEnd())
      return {shell, files: [], script: scripts[shell]}
    }
    const chosen = shell ?? shells.find(one => one === basename(process.env.SHELL ?? ''))
    if (!chosen) throw usageError('Which shell?', `Give one of ${shells.join(', ')}.`)
    const place = placeFor(chosen, process.env)
    const files = [place.script, ...(place.startUp ? [place.startUp] : [])]
    if (flags.install) {
      const loads = place.startUp ? ` and add three lines to ${place.startUp}` : ''
      await this.consent(`Write ${place.script}${loads}?`, flags)
      await install(chosen, place)
      this.say(`gpuctl is completed in every new ${chosen}.`)
    } else {
      const lines = place.startUp ? ` and our lines from ${place.startUp}` : ''
      await this.consent(`Remove ${place.script}${lines}?`, flags)
      await uninstall(place)
      this.say(`gpuctl is no longer completed in ${chosen}.`)
    }
    return {shell: chosen, files}
  }
}
