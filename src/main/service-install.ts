import {chmod, chown, lstat, mkdir, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {setTimeout as pause} from 'node:timers/promises'
import {type Exec, ExecError, exec} from '../platform/exec.ts'
import {agentFolder, serverFolder} from './local-fleet.ts'
import {readRunFile} from './run-file.ts'
import {accountText, type Service, serviceFolders, unitText} from './service-unit.ts'
import {CannotStart, FlagError} from './settings.ts'

export interface InstallOptions {
  service: Service
  /** Where another system's files lie: nothing is started, and no account is made. */
  root?: string
  start?: boolean
  exec?: Exec
}

export interface Installed {
  unit: string
  changed: boolean
  /** Programs that were run. */
  ran: string[]
}

const unitPath = (name: Service['name']) => `/etc/systemd/system/${name}.service`
const accountPath = '/etc/sysusers.d/gpuctl.conf'
/** A store that is brought to its newest schema takes a while. */
const upWithinMs = 60_000

/**
 * Writes the unit, makes the account, starts the service and waits until it runs. Again it changes what differs, and
 * nothing else.
 */
export async function installService({
  service,
  root,
  start = true,
  exec: run = exec,
}: InstallOptions): Promise<Installed> {
  if (root === undefined) {
    refuseHome(service.command)
    await requireSystemd()
  }
  const unit = join(root ?? '/', unitPath(service.name))
  const isServer = service.name === 'gpuctl-server'
  const changes = [await put(unit, unitText(service))]
  if (isServer) changes.push(await put(join(root ?? '/', accountPath), accountText))
  const changed = changes.includes(true)
  await makeConfig(join(root ?? '/', serviceFolders(service.name).config), root === undefined)
  if (root !== undefined) return {unit, changed, ran: []}
  const calls = [
    ...(isServer ? [['systemd-sysusers', accountPath]] : []),
    ['systemctl', 'daemon-reload'],
    ['systemctl', 'enable', service.name],
    ...(start ? [['systemctl', changed ? 'restart' : 'start', service.name]] : []),
  ]
  const ran = await runAll(calls, run)
  if (start) await untilUp(service.name, run)
  return {unit, changed, ran}
}

/** Its variables reach the agent, so it is root's alone to change; what is secret in it has a mode of its own. */
async function makeConfig(path: string, isOwn: boolean): Promise<void> {
  await asRoot(path, async () => {
    if (await mkdir(path, {recursive: true})) await chmod(path, 0o755)
    if (isOwn) await chown(path, 0, 0)
  })
}

/** For systemd a program has started once it was begun: that it stays up it says itself, in its run file. */
async function untilUp(name: Service['name'], run: Exec): Promise<void> {
  const {data} = serviceFolders(name)
  const directory = join(data, name === 'gpuctl-server' ? serverFolder : agentFolder)
  for (const deadline = Date.now() + upWithinMs; Date.now() < deadline; await pause(100)) {
    if (await readRunFile(directory)) return
    const {stdout} = await run('systemctl', ['show', '--property=SubState', '--value', name], {timeoutMs: 60_000})
    if (/^(auto-restart|failed|dead)/.test(stdout)) break
  }
  throw new CannotStart(`${name} was started, and does not stay up.`, `See \`journalctl -u ${name}\`; the unit stays.`)
}

/** Ends the service and removes its unit. Data stays unless `purge`. Answers what was removed. */
export async function uninstallService(options: {
  name: Service['name']
  root?: string
  purge?: boolean
  exec?: Exec
}): Promise<string[]> {
  const {name, root, purge = false, exec: run = exec} = options
  const at = (path: string) => join(root ?? '/', path)
  const {data, cache} = serviceFolders(name)
  const isInstalled = await isThere(at(unitPath(name)))
  if (root === undefined && isInstalled) {
    await requireSystemd()
    await runAll([['systemctl', 'disable', '--now', name]], run)
  }
  const account = name === 'gpuctl-server' ? [accountPath] : []
  const paths = [unitPath(name), ...(purge ? [data, cache, ...account] : [])].map(at)
  const removed: string[] = []
  for (const path of paths) {
    if (!(await isThere(path))) continue
    await asRoot(path, () => rm(path, {recursive: true}))
    removed.push(path)
  }
  if (root === undefined && isInstalled) await runAll([['systemctl', 'daemon-reload']], run)
  return removed
}

/** A service's account does not see people's own folders, where npm may have put node or gpuctl. */
function refuseHome(command: readonly string[]): void {
  const hidden = command.slice(0, 2).find(path => /^\/(home|root)\//.test(path))
  if (!hidden) return
  throw new CannotStart(
    `A service cannot run ${hidden}: it lies in somebody's own folder.`,
    'Install gpuctl for the whole machine: the .deb, or `npm install -g` with a Node outside of /home and /root.',
  )
}

async function requireSystemd(): Promise<void> {
  if (await isThere('/run/systemd/system')) return
  throw new CannotStart(
    'This machine was not started by systemd.',
    'Print the unit with --dry-run, write it into another system with --root, or use `start --detach`.',
  )
}

/** Whole or not at all; false where the file is already so. */
async function put(path: string, text: string): Promise<boolean> {
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (before === text) return false
  await asRoot(path, async () => {
    await mkdir(dirname(path), {recursive: true})
    const temporary = `${path}.${process.pid}.tmp`
    await writeFile(temporary, text)
    await chmod(temporary, 0o644)
    await rename(temporary, path)
  })
  return true
}

async function asRoot<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
      throw new CannotStart(`${path} cannot be changed (${code}).`, 'Run this as root.', {cause: error})
    throw error
  }
}

async function runAll(calls: string[][], run: Exec): Promise<string[]> {
  const ran: string[] = []
  for (const [program = '', ...args] of calls) {
    const line = [program, ...args].join(' ')
    const {code, stderr} = await run(program, args, {timeoutMs: 60_000}).catch(error => {
      if (error instanceof ExecError)
        throw new CannotStart(`\`${line}\` failed: ${error.message}`, 'Is systemd whole here?')
      throw error
    })
    if (code !== 0)
      throw new CannotStart(
        `\`${line}\` ended with ${code}: ${stderr.trim().slice(0, 500)}`,
        'See `journalctl -e`; the unit stays where it is.',
      )
    ran.push(line)
  }
  return ran
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

/** Throws FlagError unless `given` is the name that must be typed once more. */
export function requireName(given: string | undefined, name: string, what: string): void {
  if (given === name) return
  throw new FlagError(`${what} To go on, give --confirm ${name}${given === undefined ? '' : `, not ${given}`}.`)
}
