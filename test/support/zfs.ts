import {execFileSync} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {mkdir, rmdir, truncate, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {onTestFinished} from 'vitest'
import {temporaryDirectory} from './temporary-directory.ts'
import {eventually} from './wait.ts'
import {runs} from './zfs-daemon.ts'

export {zfs} from './zfs-daemon.ts'

/** A loop device over a sparse file, gone after the running test; and a name for a pool that nobody else has. */
export async function looseDisk({sizeMiB = 256} = {}): Promise<{device: string; pool: string}> {
  const file = join(await temporaryDirectory('gpuctl-disk-'), 'disk')
  await writeFile(file, '')
  await truncate(file, sizeMiB * 2 ** 20)
  const device = execFileSync('losetup', ['-f', '--show', file], {encoding: 'utf8'}).trim()
  const pool = `t${randomBytes(4).toString('hex')}`
  onTestFinished(async () => {
    runs('zpool', 'destroy', '-f', pool)
    runs('umount', '-l', `/${pool}`)
    await eventually(() => runs('losetup', '-d', device), {withinMs: 5_000, what: `${device} to be let go`})
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
    await eventually(() => !runs('mountpoint', '-q', folder) || (runs('umount', '-l', folder) && false), {
      withinMs: 5_000,
      what: `${folder} to be let go`,
    })
    await rmdir(folder).catch(() => {})
  })
}
