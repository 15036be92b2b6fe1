/** Whether a stream is a person's terminal. GPUCTL_FORCE_TTY says yes for all of them, for scripts that record. */
export function isTerminal(stream: {isTTY?: boolean}, env: NodeJS.ProcessEnv = process.env): boolean {
  return Boolean(stream.isTTY) || Boolean(env.GPUCTL_FORCE_TTY)
}

/** Whether somebody can answer a question now. */
export function canAsk(env: NodeJS.ProcessEnv = process.env): boolean {
  if (env.CI || isOn(env.GPUCTL_NO_INPUT)) return false
  return Boolean(process.stdin.isTTY) && isTerminal(process.stderr, env)
}

/**
 * Colours for one stream. What was typed decides; then NO_COLOR, CLICOLOR and TERM=dumb take them away, FORCE_COLOR and
 * CLICOLOR_FORCE give them.
 */
export function wantsColour(
  stream: {isTTY?: boolean},
  wish: 'auto' | 'always' | 'never' = 'auto',
  env: NodeJS.ProcessEnv = process.env,
): boolean {
  if (wish !== 'auto') return wish === 'always'
  if (env.NO_COLOR) return false
  if (isOn(env.FORCE_COLOR) || isOn(env.CLICOLOR_FORCE)) return true
  return isTerminal(stream, env) && env.FORCE_COLOR !== '0' && env.CLICOLOR !== '0' && env.TERM !== 'dumb'
}

export function isOn(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false'
}

/** Cells in a line of stdout. */
export function columns(env: NodeJS.ProcessEnv = process.env): number {
  return Number(env.COLUMNS) || process.stdout.columns || 80
}
