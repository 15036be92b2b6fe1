import {Args, Flags} from '@oclif/core'
import {usageError} from './failure.ts'

/** Whose quota is looked at: as an argument, or as --user. */
export const quotaUser = {
  args: {user: Args.string({description: 'user name or id; yourself unless given', ignoreStdin: true})},
  flags: {user: Flags.string({description: 'the same as the argument', helpValue: '<name>'})},
}

/** Usage error where both are given and differ. */
export function userOf(argument: string | undefined, flag: string | undefined): string | undefined {
  if (argument !== undefined && flag !== undefined && argument !== flag) {
    throw usageError(`The argument says ${argument}, and --user says ${flag}.`, 'Name the user once.')
  }
  return argument ?? flag
}
