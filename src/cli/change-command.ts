import {Flags} from '@oclif/core'
import {BaseCommand} from './base-command.ts'
import {exitCode} from './exit-codes.ts'
import {globalFlags} from './global-flags.ts'

/** A command that changes something on the server. With -n each changing call is only tried there (contract/dry-run.ts). */
export abstract class ChangeCommand extends BaseCommand {
  static override baseFlags = {
    ...globalFlags,
    'dry-run': Flags.boolean({char: 'n', description: 'check everything, say what would happen, do nothing; exit 10'}),
  }

  /** What a node would run, where the operation can tell. */
  protected showCommands(commands: readonly string[]): void {
    for (const line of commands) this.log(line)
    process.exitCode = exitCode.differs
  }
}
