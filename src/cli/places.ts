import {homedir} from 'node:os'
import {join} from 'node:path'

export function configDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return env.GPUCTL_CONFIG_DIR || join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'gpuctl')
}

/** What is here may be removed at any time. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return env.GPUCTL_CACHE_DIR || join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'gpuctl')
}
