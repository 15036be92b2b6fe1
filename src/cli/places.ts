import {join} from 'node:path'

export function configDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return env.GPUCTL_CONFIG_DIR || join(env.XDG_CONFIG_HOME || join(env.HOME || home(), '.config'), 'gpuctl')
}

/** What is here may be removed at any time. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return env.GPUCTL_CACHE_DIR || join(env.XDG_CACHE_HOME || join(env.HOME || home(), '.cache'), 'gpuctl')
}

/** Without $HOME; `node:os` is not loaded where there is one. For an empty one Node answers nothing either. */
function home(): string {
  const {homedir, userInfo} = process.getBuiltinModule('node:os')
  return homedir() || userInfo().homedir
}
