import {execFileSync} from 'node:child_process'
import {existsSync} from 'node:fs'

/** A browser for pages that run what the documents show. */
export const chromiumPath = '/usr/bin/chromium'

/** What a test may ask of the machine beyond Node. Each probe answers why it is missing, or undefined when it is there. */
const probes = {
  docker: () => (dockerAnswers() ? undefined : 'needs a Docker Engine that answers (docker version failed)'),
  root: () => (process.getuid?.() === 0 ? undefined : 'needs root'),
  postgres: () => (postgresBinDir() ? undefined : 'needs PostgreSQL (no initdb under /usr/lib/postgresql)'),
  gpu: () => (works('nvidia-smi', '-L') ? undefined : 'needs a GPU (nvidia-smi -L failed)'),
  netns: () => (works('unshare', '--net', 'true') ? undefined : 'needs network namespaces (unshare --net failed)'),
  busybox: () => (existsSync('/bin/busybox') ? undefined : 'needs /bin/busybox (Debian: busybox-static)'),
  openssl: () => (works('openssl', 'version') ? undefined : 'needs openssl'),
  ssh: () =>
    works('ssh', '-V') && works('sshpass', '-V') && works('rsync', '--version')
      ? undefined
      : 'needs the OpenSSH client, sshpass and rsync',
  dropbear: () => (existsSync('/usr/sbin/dropbear') ? undefined : 'needs dropbear (Debian: dropbear-bin)'),
  strace: () => (works('strace', '-V') ? undefined : 'needs strace'),
  shells: () =>
    works('zsh', '--version') && works('fish', '--version') && works('tmux', '-V')
      ? undefined
      : 'needs zsh, fish and tmux',
  keyring: () =>
    works('gnome-keyring-daemon', '--version') && works('dbus-run-session', '--version')
      ? undefined
      : 'needs a keyring (Debian: gnome-keyring, dbus)',
  tmux: () => (works('tmux', '-V') ? undefined : 'needs tmux'),
  zfs: () => (existsSync('/usr/sbin/zfs-fuse') || works('zpool', 'list') ? undefined : 'needs ZFS (Debian: zfs-fuse)'),
  btrfs: () => (existsSync('/usr/sbin/mkfs.btrfs') ? undefined : 'needs mkfs.btrfs (Debian: btrfs-progs)'),
  radosgw: () =>
    ['radosgw', 'ceph-mon', 'ceph-osd'].every(name => existsSync(`/usr/bin/${name}`))
      ? undefined
      : 'needs an S3 server (Debian: radosgw, ceph-mon, ceph-osd)',
  chromium: () => (existsSync(chromiumPath) ? undefined : `needs ${chromiumPath} (Debian: chromium)`),
  qemu: () =>
    existsSync('/usr/lib/qemu/virtiofsd') && works('qemu-system-x86_64', '--version') && works('vgs', '--version')
      ? undefined
      : 'needs QEMU, lvm2 and nfs-kernel-server (Debian: qemu-system-x86, qemu-system-common)',
  linux: () => (process.platform === 'linux' ? undefined : 'needs Linux'),
} satisfies Record<string, () => string | undefined>

export type Need = keyof typeof probes

/** Why these needs are not met here, or undefined. For `describe.skipIf`-like decisions outside of a test. */
export function unmet(...needs: Need[]): string | undefined {
  for (const need of needs) {
    const reason = probes[need]()
    if (reason) return reason
  }
  return undefined
}

/**
 * Skips the running test, with the reason, unless the machine has all this: `test('…', async context => {
 * need(context, 'docker'); … })`. The run lists every skip at its end; with CI=true a skip fails the run, except
 * for a reason that begins with "needs a GPU".
 */
export function need(context: {skip(note?: string): never}, ...needs: Need[]): void {
  const reason = unmet(...needs)
  if (reason) context.skip(reason)
}

/** The folder with initdb and postgres, newest version first; undefined when PostgreSQL's server is not installed. */
export function postgresBinDir(): string | undefined {
  for (const version of [18, 17, 16, 15, 14]) {
    const folder = `/usr/lib/postgresql/${version}/bin`
    if (existsSync(`${folder}/initdb`)) return folder
  }
  return undefined
}

function dockerAnswers(): boolean {
  return works('docker', 'version')
}

function works(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, {stdio: 'ignore', timeout: 5_000})
    return true
  } catch {
    return false
  }
}
