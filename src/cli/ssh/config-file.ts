import {readFile, rm} from 'node:fs/promises'
import {homedir} from 'node:os'
import {join} from 'node:path'
import {readIfThere, writePrivately} from '../private-file.ts'
import type {SshWay} from './jump-host.ts'
import {quoted, sshOptions} from './openssh.ts'

const begin = '# >>> gpuctl (written by `gpuctl instance ssh-config write`; taken out by `… remove`)'
const end = '# <<< gpuctl'

/** A block for each instance: `ssh PREFIX.NAME`, and with it scp, rsync and editors. */
export function configFor(ways: readonly SshWay[], prefix: string, proxyCommand: (name: string) => string): string {
  const blocks = ways.map(way => {
    const lines: [string, string][] = [
      ['HostName', way.host],
      ['Port', String(way.port)],
      ['User', way.login],
      ...sshOptions(way),
      ['ProxyCommand', proxyCommand(way.instance.id)],
      ['ControlMaster', 'auto'],
      ['ControlPath', '~/.ssh/gpuctl-%C'],
      ['ControlPersist', '60'],
    ]
    return [`Host ${prefix}${way.instance.name}`, ...lines.map(([name, value]) => `  ${name} ${value}`)].join('\n')
  })
  return `${blocks.join('\n\n')}\n`
}

export interface SshFiles {
  /** Our own. */
  config: string
  /** The person's, which gets one Include at its beginning. */
  main: string
}

export function sshFiles(configDirectory: string, env: NodeJS.ProcessEnv = process.env): SshFiles {
  return {config: join(configDirectory, 'ssh', 'config'), main: join(env.HOME || homedir(), '.ssh', 'config')}
}

/** Writes our file, and the Include unless it stands there. Answers whether the person's file was changed. */
export async function writeConfig({config, main}: SshFiles, text: string): Promise<boolean> {
  await writePrivately(config, text)
  const before = (await readIfThere(main)) ?? ''
  const include = `${begin}\nInclude ${quoted(config)}\n${end}\n`
  if (before.includes(include)) return false
  await writePrivately(main, `${include}\n${without(before)}`)
  return true
}

/** Takes both away; what else stands in the person's file stays as it is. */
export async function removeConfig({config, main}: SshFiles): Promise<void> {
  await rm(config, {force: true})
  const before = await readFile(main, 'utf8').catch(() => '')
  const after = without(before)
  if (after !== before) await writePrivately(main, after)
}

function without(text: string): string {
  const from = text.indexOf(begin)
  const to = text.indexOf(end, from)
  if (from < 0 || to < 0) return text
  return text.slice(0, from) + text.slice(to + end.length).replace(/^\n{1,2}/, '')
}
