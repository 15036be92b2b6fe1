import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {proxmoxPrograms} from '../../support/proxmox-programs.ts'

const pauseSeconds = 0.2

/** An export is mounted as a file system in memory of that name; all else goes to the machine's own `mount`. */
const mount = `#!/bin/sh
[ "$2" = nfs4 ] || exec /usr/bin/mount "$@"
sleep ${pauseSeconds}
exec /usr/bin/mount -t tmpfs -o size=1m "$5" "$6"
`

/** The machine's own program, after a pause: pools that are folders, and file systems that go, are quicker than a kill. */
const slow = (program: string) => `#!/bin/sh
sleep ${pauseSeconds}
exec /usr/bin/${program} "$@"
`

/** ZFS itself: what is as quick as a call of it, after a pause. */
const zfs = `#!/bin/sh
case "$1" in snapshot | destroy | rollback) sleep ${pauseSeconds} ;; esac
exec /usr/sbin/zfs "$@"
`

/** What a lab agent takes for Proxmox VE and for mounts of other machines: slow enough to be killed amid its work. */
export async function labPrograms(folder: string): Promise<void> {
  await proxmoxPrograms(folder, pauseSeconds)
  const programs = {mount, zfs, mv: slow('mv'), umount: slow('umount')}
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(folder, 'bin', name), script, {mode: 0o755})
  }
}
