import type {Interfaces} from '@oclif/core'
import {usageError} from './failure.ts'
import {variableOf} from './variables.ts'

type AnyFlag = Interfaces.FlagInput[string]
type Flags = Interfaces.FlagInput

/** Read by hand, because which of them decides is a question of both (context.ts). */
const readElsewhere = new Set(['server', 'context'])

const yesOrNo = new Set(['1', 'true', 'yes', 'y', '0', 'false', 'no', 'n'])

/** The flags of a command, each with its variable. Usage error for one that says neither yes nor no. */
export function withVariables(flags: Flags, env: NodeJS.ProcessEnv = process.env): Flags {
  return Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => {
      const variable = readElsewhere.has(name) ? undefined : variableOf(name, flag)
      if (variable && env[variable]) checkVariable(variable, env[variable], flag)
      return [name, {...flag, env: variable}]
    }),
  ) as Flags
}

/** oclif takes every word that it does not know for no, and several values for one. */
export function spreadVariables<F extends object>(found: F, flags: Flags): F {
  for (const [name, value] of Object.entries(found)) {
    const flag = flags[name] as {multiple?: boolean} | undefined
    if (flag?.multiple && typeof value === 'string') Object.assign(found, {[name]: value.split('\n').filter(Boolean)})
  }
  return found
}

function checkVariable(variable: string, value: string, flag: AnyFlag): void {
  if (flag.type !== 'boolean' || yesOrNo.has(value.toLowerCase())) return
  if (variable === 'GPUCTL_DEBUG') return
  throw usageError(`${variable}=${value} is neither yes nor no.`, 'Write 1 or 0, or unset it.')
}
