import {rm} from 'node:fs/promises'
import {homedir} from 'node:os'
import {join} from 'node:path'
import {readIfThere} from '../private-file.ts'
import {type Shell, scripts} from './scripts.ts'
import {writeKeepingMode} from './write-keeping-mode.ts'

/** Where a shell's completion goes. fish finds the script by itself; the start-up file of the others gets a block that loads it. */
export interface Place {
  script: string
  startUp?: string
}

const begin = '# >>> gpuctl completion >>>'
const end = '# <<< gpuctl completion <<<'

export function placeFor(shell: Shell, env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): Place {
  const home = env.HOME || homedir()
  const config = env.XDG_CONFIG_HOME || join(home, '.config')
  if (shell === 'fish') return {script: join(config, 'fish', 'completions', 'gpuctl.fish')}
  const script = join(env.XDG_DATA_HOME || join(home, '.local', 'share'), 'gpuctl', `completion.${extensions[shell]}`)
  if (shell === 'bash') return {script, startUp: join(home, '.bashrc')}
  if (shell === 'zsh') return {script, startUp: join(env.ZDOTDIR || home, '.zshrc')}
  const folder = platform === 'win32' ? join(home, 'Documents', 'PowerShell') : join(config, 'powershell')
  return {script, startUp: join(folder, 'Microsoft.PowerShell_profile.ps1')}
}

const extensions = {bash: 'bash', zsh: 'zsh', powershell: 'ps1'} as const

/** May be repeated; what else stands in the start-up file stays as it is. */
export async function install(shell: Shell, {script, startUp}: Place): Promise<void> {
  await writeKeepingMode(script, scripts[shell])
  if (!startUp) return
  const before = (await readIfThere(startUp)) ?? ''
  const block = `${begin}\n${loading(shell, script)}\n${end}\n`
  const without = withoutBlock(before)
  await writeKeepingMode(startUp, `${without}${without === '' || without.endsWith('\n') ? '' : '\n'}${block}`)
}

export async function uninstall({script, startUp}: Place): Promise<void> {
  await rm(script, {force: true})
  const before = startUp === undefined ? undefined : await readIfThere(startUp)
  if (startUp === undefined || before === undefined) return
  const after = withoutBlock(before)
  if (after !== before) await writeKeepingMode(startUp, after)
}

function withoutBlock(text: string): string {
  const from = text.indexOf(`${begin}\n`)
  const to = text.indexOf(end, from)
  return from < 0 || to < 0 ? text : text.slice(0, from) + text.slice(to + end.length).replace(/^\n/, '')
}

function loading(shell: Shell, script: string): string {
  if (shell === 'powershell') {
    const path = `'${script.replaceAll("'", "''")}'`
    return `if (Test-Path ${path}) { . ${path} }`
  }
  const path = `'${script.replaceAll("'", `'\\''`)}'`
  return `[ -r ${path} ] && . ${path}`
}
