/**
 * Makes a Debian machine ready for the tests: installs what is missing, starts a Docker Engine where none answers.
 * Used by scripts/test.mjs and scripts/demo.mjs; by itself it installs only.
 */
import {execFileSync, spawn, spawnSync} from 'node:child_process'
import {existsSync, mkdtempSync, openSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {delimiter, join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'

/** What the tests use → the Debian package that brings it. A name with a slash is a file, others are programs. */
const tools = {
  dockerd: 'docker.io',
  iptables: 'iptables',
  nft: 'nftables',
  ip: 'iproute2',
  '/bin/busybox': 'busybox-static',
  openssl: 'openssl',
  'systemd-analyze': 'systemd',
  unshare: 'util-linux',
  strace: 'strace',
  ssh: 'openssh-client',
  '/usr/sbin/sshd': 'openssh-server',
  '/usr/sbin/dropbear': 'dropbear-bin',
  '/usr/lib/openssh/sftp-server': 'openssh-sftp-server',
  sshpass: 'sshpass',
  rsync: 'rsync',
  tmux: 'tmux',
  zsh: 'zsh',
  fish: 'fish',
  'dbus-run-session': 'dbus',
  'gnome-keyring-daemon': 'gnome-keyring',
  chromium: 'chromium',
  ps: 'procps',
  curl: 'curl',
  jq: 'jq',
  git: 'git',
  'zfs-fuse': 'zfs-fuse',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.btrfs': 'btrfs-progs',
  'qemu-system-x86_64': 'qemu-system-x86',
  '/usr/lib/qemu/virtiofsd': 'qemu-system-common',
  vgs: 'lvm2',
  exportfs: 'nfs-kernel-server',
  'mount.nfs': 'nfs-common',
  rpcinfo: 'rpcbind',
  zstd: 'zstd',
  radosgw: 'radosgw',
  'ceph-mon': 'ceph-mon',
  'ceph-osd': 'ceph-osd',
  ceph: 'ceph-common',
}

/** Installs the missing ones. Returns the names of those that are still missing, which is none on Debian as root. */
export function installMissing() {
  const missing = findMissing()
  if (missing.length === 0 || !isDebianAsRoot()) return missing
  console.log(`Installing ${missing.join(', ')} (Debian packages, once) …`)
  const env = {...process.env, DEBIAN_FRONTEND: 'noninteractive'}
  const options = {env, stdio: ['ignore', 'inherit', 'inherit'], timeout: 10 * 60 * 1000}
  const quiet = ['-qq', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3']
  spawnSync('apt-get', [...quiet, 'update'], options)
  spawnSync('apt-get', [...quiet, 'install', '-y', '--no-install-recommends', ...missing], options)
  return findMissing()
}

function findMissing() {
  const missing = Object.entries(tools).filter(([tool]) => !isThere(tool))
  const packages = missing.map(([, name]) => name)
  if (!hasPostgres()) packages.push('postgresql')
  return packages
}

function isThere(tool) {
  if (tool.includes('/')) return existsSync(tool)
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some(folder => existsSync(join(folder, tool)))
}

function hasPostgres() {
  return [14, 15, 16, 17, 18].some(version => existsSync(`/usr/lib/postgresql/${version}/bin/initdb`))
}

export function isDebianAsRoot() {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version')
}

export function dockerAnswers(env = process.env) {
  return spawnSync('docker', ['version'], {env, stdio: 'ignore', timeout: 10_000}).status === 0
}

/**
 * Starts a Docker Engine with data, socket and bridge of its own, and sets DOCKER_HOST to it, unless one answers
 * already. Returns the function that ends it and removes all that it made; undefined where no engine can be started.
 */
export async function startDocker() {
  if (dockerAnswers()) return async () => {}
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !isThere('dockerd')) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'gpuctl-docker-'))
  const bridge = addBridge()
  const socket = `unix://${folder}/docker.sock`
  const log = openSync(join(folder, 'log'), 'a')
  const flags = ['-H', socket, '--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`]
  flags.push('--pidfile', `${folder}/pid`, '--bridge', bridge, '--log-level', 'warn', '--shutdown-timeout', '2')
  // setpriv: the engine ends with this process also when that is killed.
  const command = isThere('setpriv') ? ['setpriv', '--pdeathsig', 'TERM', 'dockerd'] : ['dockerd']
  const env = {...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`}
  const child = spawn(command[0], [...command.slice(1), ...flags], {env, stdio: ['ignore', log, log]})
  const ended = new Promise(resolve => child.on('exit', resolve).on('error', resolve))

  const stop = async () => {
    child.kill('SIGTERM')
    const inTime = await Promise.race([ended.then(() => true), delay(20_000, false, {ref: false})])
    if (!inTime) child.kill('SIGKILL')
    await ended
    unmountBelow(folder)
    rmSync(folder, {recursive: true, force: true, maxRetries: 5})
    spawnSync('ip', ['link', 'delete', bridge], {stdio: 'ignore'})
  }

  const deadline = Date.now() + 30_000
  while (!dockerAnswers({...process.env, DOCKER_HOST: socket})) {
    if (child.exitCode !== null || Date.now() > deadline) {
      console.error(`No Docker Engine could be started:\n${readFileSync(join(folder, 'log'), 'utf8').slice(-3000)}`)
      await stop()
      return undefined
    }
    await delay(100)
  }
  process.env.DOCKER_HOST = socket
  return stop
}

/** A bridge that no other engine uses: two engines on docker0 give out the same addresses. */
function addBridge() {
  const taken = execFileSync('ip', ['-o', '-4', 'address'], {encoding: 'utf8'})
  const subnet = Array.from({length: 200}, (_, i) => `10.213.${i + 1}.1`).find(
    address => !taken.includes(` ${address}/`),
  )
  if (!subnet) throw new Error('All of 10.213.0.0/16 is in use.')
  const name = `gpuctl${process.pid % 1_000_000}`
  execFileSync('ip', ['link', 'add', name, 'type', 'bridge'])
  execFileSync('ip', ['address', 'add', `${subnet}/24`, 'dev', name])
  execFileSync('ip', ['link', 'set', name, 'up'])
  return name
}

function unmountBelow(folder) {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
  for (const path of mounts.filter(path => path.startsWith(`${folder}/`)).reverse()) spawnSync('umount', ['-l', path])
}

if (process.argv[1] === import.meta.filename) {
  const missing = installMissing()
  console.log(missing.length === 0 ? 'Everything that the tests use is here.' : `Still missing: ${missing.join(', ')}`)
}

/**
 * Starts zfs-fuse where no ZFS answers, for as long as this process runs: there is only one on a machine, and test files
 * that run side by side share it. Returns the function that ends it.
 */
export async function startZfs() {
  const answers = () => spawnSync('zpool', ['list'], {stdio: 'ignore', timeout: 10_000}).status === 0
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !isThere('zfs-fuse') || answers())
    return async () => {}
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', 'zfs-fuse', '-n', '--no-kstat-mount'], {stdio: 'ignore'})
  const ended = new Promise(resolve => child.on('exit', resolve).on('error', resolve))
  const deadline = Date.now() + 10_000
  while (!answers() && child.exitCode === null && Date.now() < deadline) await delay(50)
  return async () => {
    child.kill('SIGTERM')
    await Promise.race([ended, delay(5_000, undefined, {ref: false})])
    child.kill('SIGKILL')
  }
}
