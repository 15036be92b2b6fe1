import {execFile, execFileSync, spawn} from 'node:child_process'
import {chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {promisify} from 'node:util'
import Docker from 'dockerode'

/** The image of the tests: busybox, 2 MB, its command is a shell. Made here, since a registry may be out of reach. */
export const busyboxImage = 'gpuctl/busybox:1'

/** As busybox, and with bash, rsync, scp, OpenSSH's sftp-server and dropbear of this machine: what a tenant's image has. */
export const toolsImage = 'gpuctl/tools:2'
const tools = ['/bin/bash', '/usr/bin/rsync', '/usr/bin/scp', '/usr/lib/openssh/sftp-server', '/usr/sbin/dropbear']

/** Where an engine listens: what `dockerode` takes. */
export type EngineAddress =
  | {socketPath: string}
  | {host: string; port: number; ca?: string; cert?: string; key?: string}

/** A client of that engine, whatever DOCKER_HOST says. The socket comes first where both are given. */
export function dockerClient(address: EngineAddress): Docker {
  const plain = {protocol: 'http' as const, host: undefined, pathPrefix: '/'}
  if ('socketPath' in address) return new Docker({...plain, socketPath: address.socketPath})
  return new Docker({...plain, ...address, protocol: address.ca ? 'https' : 'http'})
}

/** Makes `gpuctl/busybox:1` present in the engine and returns its name; needs Debian's busybox-static. May be repeated. */
export async function ensureBusyboxImage(address: EngineAddress): Promise<string> {
  const docker = dockerClient(address)
  const isPresent = await docker
    .getImage(busyboxImage)
    .inspect()
    .then(
      () => true,
      () => false,
    )
  if (!isPresent) await importImage(docker, busyboxImage)
  return busyboxImage
}

/** Makes `gpuctl/tools:2` present in the engine and returns its name. May be repeated. */
export async function ensureToolsImage(address: EngineAddress): Promise<string> {
  const docker = dockerClient(address)
  const isPresent = await docker
    .getImage(toolsImage)
    .inspect()
    .then(
      () => true,
      () => false,
    )
  if (!isPresent) await importImage(docker, toolsImage, copyTools)
  return toolsImage
}

async function importImage(docker: Docker, name: string, fill = async (_: string) => {}): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'gpuctl-image-'))
  try {
    await fillRoot(folder)
    await fill(folder)
    const archive = spawn('tar', ['-C', folder, '--owner=0', '--group=0', '--numeric-owner', '-c', '.'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [repo, tag] = name.split(':')
    const options = {repo, tag, changes: ['ENV PATH=/bin:/usr/bin', 'CMD ["/bin/sh"]']}
    const answer = await docker.importImage(archive.stdout, options)
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(answer, (error: Error | null, messages: {error?: string}[]) => {
        const failure = error ?? messages.find(message => message.error)
        failure ? reject(failure instanceof Error ? failure : new Error(failure.error)) : resolve()
      })
    })
  } finally {
    await rm(folder, {recursive: true, force: true})
  }
}

/** The programs with the libraries that they name, at their own places. */
async function copyTools(folder: string): Promise<void> {
  const files = new Set(tools)
  for (const tool of tools) {
    const {stdout} = await promisify(execFile)('ldd', [tool]).catch(() => ({stdout: ''}))
    for (const [library] of stdout.matchAll(/\/\S+/g)) files.add(library)
  }
  // Name services.
  const names = execFileSync('sh', ['-c', 'ls /lib/*-linux-gnu/libnss_files.so.2 /lib/*-linux-gnu/libtinfo.so.6'], {
    encoding: 'utf8',
  })
  for (const name of names.split('\n').filter(Boolean)) files.add(name)
  for (const file of files) {
    const to = join(folder, file)
    await mkdir(dirname(to), {recursive: true})
    await rm(to, {force: true})
    await copyFile(file, to)
    await chmod(to, 0o755)
  }
  // Dropbear lets nobody in whose shell is not listed.
  await writeFile(join(folder, 'etc/shells'), '/bin/sh\n/bin/bash\n')
  // Where dropbear looks for it.
  await symlink('openssh/sftp-server', join(folder, 'usr/lib/sftp-server'))
  for (const name of ['root/.ssh', 'etc/dropbear']) await mkdir(join(folder, name), {recursive: true, mode: 0o700})
}

async function fillRoot(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const name of ['bin', 'dev', 'proc', 'sys', 'etc', 'tmp', 'root']) await mkdir(join(folder, name))
  await chmod(join(folder, 'tmp'), 0o1777)
  const {stdout: libraries} = await promisify(execFile)('ldd', ['/bin/busybox']).catch(() => ({stdout: ''}))
  if (libraries.includes('=>')) throw new Error('/bin/busybox is not a static program: install busybox-static.')
  await copyFile('/bin/busybox', join(folder, 'bin/busybox'))
  await chmod(join(folder, 'bin/busybox'), 0o755)
  const applets = execFileSync('/bin/busybox', ['--list'], {encoding: 'utf8'}).split('\n')
  for (const applet of applets) {
    if (applet && applet !== 'busybox') await symlink('busybox', join(folder, 'bin', applet))
  }
  await writeFile(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  await writeFile(join(folder, 'etc/group'), 'root:x:0:\n')
}
