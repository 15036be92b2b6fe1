import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {manPage} from '../cli/man-page.ts'
import {readCommands} from '../cli/manifest.ts'
import {write} from '../cli/output/machine.ts'

/** `help WORDS` is `WORDS --help` (argv.ts); what is left for a command is the manual. */
export default class Help extends BaseCommand {
  static override summary = 'Show the help of a command or a topic; with --man the whole manual.'
  static override examples = ['<%= config.bin %> help claim submit', '<%= config.bin %> help --man | man -l -']
  static override args = {words: Args.string({description: 'a command or a topic'})}
  static override flags = {man: Flags.boolean({description: 'all commands as a manual page (roff)'})}
  static override strict = false

  async run(): Promise<void> {
    await this.parse(Help)
    await write(process.stdout, manPage(await readCommands(this.config.root), this.config.version))
  }
}
