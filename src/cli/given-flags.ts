import type {Interfaces} from '@oclif/core'
import {usageError} from './failure.ts'
import {variableOf} from './variables.ts'

type AnyFlag = Interfaces.FlagInput[string]
type Flags = Interfaces.FlagInput

/** Read by hand, because which of them decides is a question of both (context.ts). */
const readElsewhere = new Set(['server', 'context'])

const yesOrNo = new Set(['1', 'true', 'yes', 'y', '0', 'false', 'no', 'n'])

/** The flags of a command, with its variable where that is set. Usage error for one that says neither yes nor no. */
export function withVariables(flags: Flags, env: NodeJS.ProcessEnv = process.env): Flags {
  // Each look at process.env is a call of the system's; at most starts none of these is set.
  const given = new Set(Object.keys(env).filter(name => name.startsWith('GPUCTL_') && env[name]))
  if (given.size === 0) return flags
  const found = {...flags}
  for (const [name, flag] of Object.entries(flags)) {
    const variable = readElsewhere.has(name) ? undefined : variableOf(name, flag)
    if (variable === undefined || !given.has(variable)) continue
    checkVariable(variable, env[variable] as string, flag)
    found[name] = {...flag, env: variable}
  }
  return found
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
