import {existsSync} from 'node:fs'
import {sleep, systemClock} from '../platform/clock.ts'
import {type Exec, ExecError, type ExecResult} from '../platform/exec.ts'
import {type StorageCommand, StorageError, type StorageErrorCode} from './driver.ts'

/** Storage programs answer in seconds; a `zpool create` over many slow disks is given minutes. */
const timeoutMs = 5 * 60_000
/** Between tries of what is busy: most is let go of at once, all of it within seconds. */
const pausesMs = [100, 200, 400, 800, 1_500, 2_000]
const folders = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin']

/** English words, so that what a program says can be read, and nothing of our own environment. */
export const environment = {
  ...{PATH: folders.join(':'), LC_ALL: 'C', HOME: '/', TZ: 'UTC'},
  // Where no udev makes the device nodes, LVM waits for them for ever unless it is told to make them itself.
  ...(existsSync('/run/udev/control') ? {} : {DM_DISABLE_UDEV: '1'}),
}

/** What a refusal means, by the words of the program. */
const meanings: readonly (readonly [RegExp, StorageErrorCode])[] = [
  [/no such pool|does not exist|not found|could not find|cannot open .*: no such/i, 'not_found'],
  [
    /already exists|already defined|pool already|is part of active pool|contains a filesystem|already in volume group/i,
    'exists',
  ],
  [/has children|dependent clones/i, 'needed'],
  [/busy|in use|is mounted|currently in use|filesystem in use/i, 'in_use'],
  [/less than current used|no space|out of space|insufficient free space|quota exceeded|not enough free/i, 'full'],
  [/not larger than existing size/i, 'invalid'],
]

export interface StorageRunner {
  /** Runs the program; a refusal throws StorageError with the program's words. */
  read(file: string, args: readonly string[]): Promise<string>
  run(command: StorageCommand, options?: RunOptions): Promise<void>
}

interface RunOptions {
  signal?: AbortSignal
  /** A file that the program holds locked while it runs, also when this process is killed meanwhile. */
  lock?: string
}

/** Runs storage programs: argv only, from the system's own folders, in an environment of our own (security T15). */
export function storageRunner(exec: Exec, env: Record<string, string> = environment): StorageRunner {
  async function once(command: StorageCommand, {signal, lock}: RunOptions = {}): Promise<ExecResult> {
    const {file, args, fine, longestMs} = command
    const mostMs = longestMs ?? timeoutMs
    const locked = lock === undefined ? [] : ['flock', '-o', '-w', String(mostMs / 1000), lock]
    const [first = file, ...words] = [...locked, file, ...args]
    const missing = () => new StorageError('unavailable', `${programOf(file, args)} is not installed.`)
    try {
      // What is cut in the middle may still be done by the system, after it was taken back: only long copies are cut.
      const cut = longestMs !== undefined || signal?.aborted ? {signal} : {}
      const result = await exec(first, words, {timeoutMs: mostMs, ...cut, env, onlyEnv: true})
      if (result.code === 0 || fine?.test(result.stderr + result.stdout)) return result
      if ([69, 126, 127].includes(result.code))
        throw new StorageError('unavailable', `${programOf(file, args)} is not installed.`)
      throw refusal(file, args, result)
    } catch (error) {
      if (!(error instanceof ExecError)) throw error
      if (error.code === 'not_found' || error.code === 'not_allowed') throw missing()
      throw new StorageError('failed', error.message, {cause: error})
    }
  }

  return {
    async read(file, args) {
      return (await once({file, args})).stdout
    },
    async run(command, options = {}) {
      for (const pauseMs of [...pausesMs, undefined]) {
        try {
          await once(command, options)
          return
        } catch (error) {
          const {otherwise, ...rest} = command
          if (otherwise && error instanceof StorageError && otherwise.when.test(error.message)) {
            await once({...rest, args: otherwise.args}, options)
            return
          }
          const isBusy = error instanceof StorageError && error.code === 'in_use'
          if (!command.patient || !isBusy || pauseMs === undefined) throw error
          await sleep(systemClock, pauseMs, options.signal)
        }
      }
    },
  }
}

export function asWords(env: Record<string, string>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`)
}

/** Behind the programs that only run another one. */
function programOf(file: string, args: readonly string[]): string {
  const [program = file, ...rest] = file === 'timeout' ? args.slice(3) : [file]
  return program === 'unshare' ? (rest[1] ?? program) : program
}

export function refusal(file: string, args: readonly string[], {stdout, stderr, code}: ExecResult): StorageError {
  const said = (stderr.trim() || stdout.trim()).split('\n').slice(0, 4).join(' ').slice(0, 500)
  if (file === 'timeout' && code === 124) {
    const [, , seconds, program] = args
    return new StorageError('failed', `${program} was not done after ${seconds} s${said && `: ${said}`}.`)
  }
  const [what, first = ''] = file === 'timeout' ? args.slice(3) : [file, ...args]
  const meaning = meanings.find(([words]) => words.test(said))?.[1] ?? 'failed'
  return new StorageError(meaning, `${what} ${first} refused (${code}): ${said || 'without a word'}`)
}

/** The command as a person would type it. */
export function shown({file, args}: StorageCommand): string {
  return [file, ...args]
    .map(word => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ')
}
