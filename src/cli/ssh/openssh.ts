import {spawn} from 'node:child_process'
import {constants} from 'node:os'
import {exitCode} from '../exit-codes.ts'
import {Failure} from '../failure.ts'
import type {SshWay} from './jump-host.ts'

/** What pins the host key and our key, as options of OpenSSH; no other key, host or file is consulted. */
export function sshOptions({keyPath, knownHostsPath, hostAlias}: SshWay): [name: string, value: string][] {
  return [
    ['IdentityFile', quoted(keyPath)],
    ['IdentitiesOnly', 'yes'],
    ['HostKeyAlias', hostAlias],
    ['UserKnownHostsFile', quoted(knownHostsPath)],
    ['GlobalKnownHostsFile', '/dev/null'],
    ['StrictHostKeyChecking', 'yes'],
    ['PreferredAuthentications', 'publickey'],
    ['ServerAliveInterval', '15'],
  ]
}

/** Arguments for `ssh`; `proxyCommand` where the jump host cannot be reached by itself. */
export function sshArguments(way: SshWay, own: string[], command: string[], proxyCommand?: string): string[] {
  const options = [...sshOptions(way), ...(proxyCommand ? [['ProxyCommand', proxyCommand] as const] : [])]
  return [
    ...['-F', '/dev/null', '-p', String(way.port), '-l', way.login],
    ...options.flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ...own,
    way.host,
    ...command,
  ]
}

/** Runs ssh in our place and answers its exit code; undefined when there is no such program. */
export function runSsh(program: string, args: string[]): Promise<number | undefined> {
  const ignore = () => {} // Ctrl-C and the like are ssh's, which ends by itself
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of names) process.on(name, ignore)
  return new Promise<number | undefined>((resolve, reject) => {
    const child = spawn(program, args, {stdio: 'inherit'})
    for (const name of ['SIGTERM', 'SIGHUP'] as const) process.on(name, () => child.kill(name))
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve(undefined)
      else
        reject(
          new Failure('ssh_failed', `${program} cannot be started: ${error.message}`, {exitCode: exitCode.transport}),
        )
    })
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']))
  }).finally(() => {
    for (const name of names) process.off(name, ignore)
  })
}

/** A word for a shell and for ssh's own configuration. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `"${word.replaceAll('"', '\\"')}"`
}
