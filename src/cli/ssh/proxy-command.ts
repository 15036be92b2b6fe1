import type {Choice} from '../context.ts'
import {quoted} from './openssh.ts'

/**
 * Starts this program again as the way to the jump host. It finds its token as ever, in the keyring, a file or the
 * environment: never in its arguments.
 */
export function proxyCommand(program: string, {server, context, caCert}: Choice, instance: string): string {
  const target = context ? ['--context', context.name] : ['--server', server]
  const words = [process.execPath, program, 'instance', 'ssh', '--stdio', ...target]
  if (caCert && !context) words.push('--ca-cert', caCert)
  return [...words, instance].map(quoted).join(' ').replaceAll('%', '%%')
}
