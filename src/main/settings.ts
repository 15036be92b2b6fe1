import {homedir} from 'node:os'
import {join} from 'node:path'

/** Where gpuctl keeps things on this machine: GPUCTL_*_DIR, else XDG, else the home folder. Paths. */
export interface Directories {
  config: string
  /** Store, keys, identity, logs. */
  data: string
  cache: string
}

export function findDirectories(env: NodeJS.ProcessEnv = process.env): Directories {
  const home = env.HOME || homedir()
  return {
    config: env.GPUCTL_CONFIG_DIR || join(env.XDG_CONFIG_HOME || join(home, '.config'), 'gpuctl'),
    data: env.GPUCTL_DATA_DIR || join(env.XDG_DATA_HOME || join(home, '.local', 'share'), 'gpuctl'),
    cache: env.GPUCTL_CACHE_DIR || join(env.XDG_CACHE_HOME || join(home, '.cache'), 'gpuctl'),
  }
}

/** A flag's value cannot be meant so: exit 2. */
export class FlagError extends RangeError {
  override name = 'FlagError'
  readonly oclif = {exit: 2}
}

/** The program cannot start here; `hint` says what to do. Exit 1 unless said. */
export class CannotStart extends Error {
  override name = 'CannotStart'
  readonly oclif: {exit: number}

  constructor(
    message: string,
    readonly hint: string,
    {exitCode = 1, ...options}: ErrorOptions & {exitCode?: number} = {},
  ) {
    super(message, options)
    this.oclif = {exit: exitCode}
  }
}

/** `HOST:PORT`, `[::1]:PORT`, `:PORT` or `PORT`; port 0 = a free one. Throws FlagError. */
export function readAddress(text: string, field = '--listen'): {host: string; port: number} {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?(\d{1,5})$/.exec(text.trim())
  const port = Number(match?.[2])
  if (!match || port > 65_535)
    throw new FlagError(`${field} must be HOST:PORT, as 127.0.0.1:8888 (port 0 = a free one); got ${text}`)
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '')
  return {host: host || '127.0.0.1', port}
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host)
}

/**
 * Folders of HAMi-core that may be bound into containers (security T17): GPUCTL_HAMI_CORE, with colons, else where its
 * own build puts it. What is no plain absolute path is left out.
 */
export function hamiCoreFolders({GPUCTL_HAMI_CORE: folders = '/root/HAMi-core/build'}: NodeJS.ProcessEnv): string[] {
  const isPlain = (path: string) => /^(\/[A-Za-z0-9][A-Za-z0-9._-]*)+$/.test(path)
  return folders.split(':').filter(isPlain)
}
