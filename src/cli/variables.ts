/**
 * Flags without a variable: what stands in the environment of a container would be taken for them, or a standing answer
 * would take a question's meaning.
 */
const withoutVariable = new Set([
  'confirm',
  'force',
  'gpus',
  'hami-core',
  'i-know',
  'ssh-port', // of a node's own SSH; that of the jump host says its variable itself
  'token',
  'version',
  'with-agent', // the server in the background would take it, too
  'help',
])

/** The environment variable in which a flag may stand; undefined = none. */
export function variableOf(
  flag: string,
  {hidden = false, env}: {hidden?: boolean; env?: string} = {},
): string | undefined {
  if (env !== undefined) return env
  if (hidden || withoutVariable.has(flag)) return undefined
  return `GPUCTL_${flag.toUpperCase().replaceAll('-', '_')}`
}
