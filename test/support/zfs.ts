import {execFileSync, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {mkdir, rmdir, truncate, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {onTestFinished} from 'vitest'
import {temporaryDirectory} from './temporary-directory.ts'
import {eventually} from './wait.ts'

/**
 * A ZFS that answers: the kernel's own, one that runs already, or a zfs-fuse of this process that ends with it. There is
 * only one on a machine, so tests use pools with names of their own.
 */
export async function zfs(): Promise<void> {
  if (answers()) return
  // setpriv: it ends with this process, also when that is killed. A second one ends by itself at once.
  const daemon = spawn('setpriv', ['--pdeathsig', 'TERM', 'zfs-fuse', '-n', '--no-kstat-mount'], {stdio: 'ignore'})
  daemon.unref()
  process.once('exit', () => daemon.kill())
  await eventually(answers, {withinMs: 10_000, what: 'ZFS'})
}

/** A loop device over a sparse file, gone after the running test; and a name for a pool that nobody else has. */
export async function looseDisk({sizeMiB = 256} = {}): Promise<{device: string; pool: string}> {
  const file = join(await temporaryDirectory('gpuctl-disk-'), 'disk')
  await writeFile(file, '')
  await truncate(file, sizeMiB * 2 ** 20)
  const device = execFileSync('losetup', ['-f', '--show', file], {encoding: 'utf8'}).trim()
  const pool = `t${randomBytes(4).toString('hex')}`
  onTestFinished(async () => {
    run('zpool', 'destroy', '-f', pool)
    run('umount', '-l', `/${pool}`)
    await eventually(() => run('losetup', '-d', device), {withinMs: 5_000, what: `${device} to be let go`})
  })
  return {device, pool}
}

/** What is mounted at and below this folder later, an engine that starts after this sees too, as on a machine with systemd. */
export async function shareMounts(folder: string): Promise<void> {
  await mkdir(folder, {recursive: true})
  execFileSync('mount', ['--bind', folder, folder])
  execFileSync('mount', ['--make-shared', folder])
  onTestFinished(async () => {
    // The pool's own mount lies over it.
    await eventually(() => !run('mountpoint', '-q', folder) || (run('umount', '-l', folder) && false), {
      withinMs: 5_000,
      what: `${folder} to be let go`,
    })
    await rmdir(folder).catch(() => {})
  })
}

function answers(): boolean {
  return run('zpool', 'list')
}

function run(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, {stdio: 'ignore', timeout: 20_000})
    return true
  } catch {
    return false
  }
}
