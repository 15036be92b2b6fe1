import type {Config} from '@oclif/core'

/** The package that this is: its version and its folder. */
export interface Program {
  version: string
  root: string
}

/**
 * What a command asks of oclif's Config. The real one reads package.json and the manifest of all commands and makes
 * objects of them, which takes longer than most commands; only help needs it.
 */
export function lightConfig({root, version}: Program): Config {
  const asked: Partial<Config> = {
    bin: 'gpuctl',
    name: 'gpuctl',
    root,
    version,
    userAgent: `gpuctl/${version} ${process.platform}-${process.arch} node-${process.version}`,
    // There are no hooks (a test says so).
    runHook: async () => ({successes: [], failures: []}),
  }
  return asked as Config
}
