import {usageError} from './failure.ts'
import {outputFormats} from './global-flags.ts'
import {suggestWord} from './suggest.ts'
import {readDuration} from './units.ts'

/** A default of the command line itself: in the settings files under `defaults`, in the environment as its variable. */
export interface Preference {
  variable: string
  description: string
  /** Throws a usage error that says what would be right. */
  check: (value: string) => void
  /** `./.gpuctl.yml` may set it. That file comes with a checkout: nothing of it may start a program or lead a token away. */
  inProject: boolean
}

export const preferences: Readonly<Record<string, Preference>> = {
  output: {
    variable: 'GPUCTL_OUTPUT',
    description: `how to print: ${outputFormats.join(', ')}`,
    check: oneOf('output', outputFormats),
    inProject: true,
  },
  timeout: {
    variable: 'GPUCTL_TIMEOUT',
    description: 'longest wait, as 30s or 10m',
    check: value => void readDuration(value, 'timeout'),
    inProject: true,
  },
  'request-timeout': {
    variable: 'GPUCTL_REQUEST_TIMEOUT',
    description: 'longest silence of the server in one call, as 30s',
    check: value => void readDuration(value, 'request-timeout'),
    inProject: true,
  },
  color: {
    variable: 'GPUCTL_COLOR',
    description: 'colours: auto, always, never',
    check: oneOf('color', ['auto', 'always', 'never']),
    inProject: true,
  },
  ...Object.fromEntries(
    ['no-header', 'no-trunc', 'no-pager'].map(name => [name, yesOrNo(name, 'true: as the flag of that name')]),
  ),
  pager: {variable: 'GPUCTL_PAGER', description: 'program for long lists', check: () => {}, inProject: false},
  keyring: {
    variable: 'GPUCTL_KEYRING',
    description: 'where tokens are kept: keyring, file, none',
    check: oneOf('keyring', ['keyring', 'file', 'none']),
    inProject: false,
  },
  'no-input': {
    variable: 'GPUCTL_NO_INPUT',
    description: 'true: nothing is asked',
    check: oneOf('no-input', ['true', 'false']),
    inProject: false,
  },
  ssh: {variable: 'GPUCTL_SSH', description: 'path of the ssh program', check: () => {}, inProject: false},
}

/** The preference of that name; usage error with a guess for any other. */
export function preferenceNamed(name: string): Preference {
  const found = Object.hasOwn(preferences, name) ? preferences[name] : undefined
  if (found) return found
  const guess = suggestWord(name, Object.keys(preferences))
  const hint = guess ? `Did you mean ${guess}?` : `There are ${Object.keys(preferences).join(', ')}.`
  throw usageError(`${name} is no setting of this command line.`, hint)
}

/** What the files say holds where the environment says nothing; flags come before both. */
export function applyPreferences(defaults: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv): void {
  for (const [name, {variable}] of Object.entries(preferences)) {
    const value = defaults[name]
    if (value !== undefined && !env[variable]) env[variable] = value
  }
}

function yesOrNo(name: string, description: string): Preference {
  const variable = `GPUCTL_${name.toUpperCase().replaceAll('-', '_')}`
  return {variable, description, check: oneOf(name, ['true', 'false']), inProject: true}
}

function oneOf(name: string, words: readonly string[]): (value: string) => void {
  return value => {
    if (!words.includes(value)) throw usageError(`${name}: ${value} is not one of ${words.join(', ')}.`)
  }
}
