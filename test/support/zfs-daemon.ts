import {execFileSync, spawn} from 'node:child_process'
import {eventually} from './wait.ts'

/**
 * A ZFS that answers: the kernel's own, one that runs already, or a zfs-fuse of this process that ends with it. There is
 * only one on a machine, so tests use pools with names of their own.
 */
export async function zfs(): Promise<void> {
  if (runs('zpool', 'list')) return
  // setpriv: it ends with this process, also when that is killed. A second one ends by itself at once.
  const daemon = spawn('setpriv', ['--pdeathsig', 'TERM', 'zfs-fuse', '-n', '--no-kstat-mount'], {stdio: 'ignore'})
  daemon.unref()
  process.once('exit', () => daemon.kill())
  await eventually(() => runs('zpool', 'list'), {withinMs: 10_000, what: 'ZFS'})
}

/** Whether the program ended well. */
export function runs(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, {stdio: 'ignore', timeout: 20_000})
    return true
  } catch {
    return false
  }
}
