import {execFileSync} from 'node:child_process'
import {existsSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

/** The machine itself, which serves NFS, in the network of `inside`; another node in it, and one in another network. */
export const server = '10.77.0.1'
export const network = '10.77.0.0/24'
export const nodes = {inside: '10.77.0', outside: '10.78.0'}

/** What a program on that node begins with. */
export function on(node: keyof typeof nodes): readonly [string, ...string[]] {
  return ['/usr/bin/nsenter', `--net=/run/netns/${node}`]
}

/** Network namespaces as nodes, and the kernel's NFS server; once for all files of tests. */
export function startNodes(): void {
  if (existsSync('/run/netns/inside')) return
  for (const [name, net] of Object.entries(nodes)) {
    run('ip', 'netns', 'add', name)
    run('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
    run('ip', 'address', 'add', `${net}.1/24`, 'dev', name)
    run('ip', 'link', 'set', name, 'up')
    run('ip', '-n', name, 'address', 'add', `${net}.2/24`, 'dev', 'eth0')
    for (const device of ['lo', 'eth0']) run('ip', '-n', name, 'link', 'set', device, 'up')
    run('ip', '-n', name, 'route', 'add', 'default', 'via', `${net}.1`)
  }
  for (const file of ['etab', 'rmtab']) writeFileSync(join('/var/lib/nfs', file), '')
  run('mount', '-t', 'nfsd', 'nfsd', '/proc/fs/nfsd')
  run('rpc.mountd')
  serve(true)
}

export function serve(isOn: boolean): void {
  // Short leases: a server that comes back lets nobody open a file before they are over.
  run('rpc.nfsd', ...(isOn ? ['--no-udp', '-N', '3', '-V', '4.2', '-L', '10', '-G', '10', '4'] : ['0']))
}

export function link(upOrDown: 'up' | 'down'): void {
  run('ip', 'link', 'set', 'inside', upOrDown)
}

export function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, {encoding: 'utf8', timeout: 60_000})
}
