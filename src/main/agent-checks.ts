import {chmod, lstat, readdir, rm} from 'node:fs/promises'
import {connect} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Diagnosis} from '../contract/finding.ts'
import {ExposedPath, refuseIfExposed} from '../platform/files.ts'
import type {StorageHost} from '../storage/host.ts'
import {ok} from './host-checks.ts'

/** Half-written files of a process that is at it are younger. */
const staleAfterMs = 10 * 60_000
/** Files that the agent refuses to read once others can: its next start would fail. */
const secretFiles = [
  'identity.json',
  'join-request.json',
  'local-api-token',
  'machine-key',
  'programs/state.json',
  'runtime.json',
  'state.json',
]

/** Keys of the agent that others can read. */
export async function checkSecrets(directory: string): Promise<Diagnosis[]> {
  const found = await Promise.all(secretFiles.map(name => exposed(join(directory, name))))
  return found.filter(one => one !== undefined)
}

async function exposed(path: string): Promise<Diagnosis | undefined> {
  try {
    await refuseIfExposed(path)
    return undefined
  } catch (error) {
    if (!(error instanceof ExposedPath)) throw error
    const [message = '', fix = ''] = error.message.split(' Run: ')
    const repair = fix.startsWith('chmod') ? () => chmod(path, 0o600) : undefined
    return {check: 'folder', level: 'error', message, fix: fix && `Run \`${fix}\`.`, repair}
  }
}

/** What earlier lives of the agent left behind when they were killed: half-written files, and folders of relays. */
export async function checkLeftovers(directory: string, now = Date.now()): Promise<Diagnosis> {
  const check = 'leftovers'
  const paths = [
    ...(await halfWritten(directory, now)),
    ...(await halfWritten(join(directory, 'instances'), now)),
    ...(await halfWritten(join(directory, 'programs'), now)),
    ...(await deadRelays(tmpdir(), now)),
  ]
  if (paths.length === 0) return ok(check, 'Nothing was left behind by an agent that was killed.')
  const fix = `Run \`rm -r ${paths.slice(0, 5).join(' ')}${paths.length > 5 ? ' …' : ''}\`.`
  return {
    ...{check, level: 'warn', fix},
    message: `${paths.length} ${paths.length === 1 ? 'file or folder' : 'files and folders'} of an agent that was killed.`,
    repair: () => Promise.all(paths.map(path => rm(path, {recursive: true, force: true}))),
  }
}

/** As platform/files.ts names them. */
async function halfWritten(folder: string, now: number): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  const paths = names.filter(name => /^\..+\.[0-9a-f]{12}\.tmp$/.test(name)).map(name => join(folder, name))
  return stale(paths, {now, isFolder: false})
}

async function deadRelays(folder: string, now: number): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  const paths = names.filter(name => /^gpuctl-relay-\w{6}$/.test(name)).map(name => join(folder, name))
  const old = await stale(paths, {now, isFolder: true})
  const listens = await Promise.all(old.map(path => answers(join(path, 'relay'))))
  return old.filter((_, index) => !listens[index])
}

/** Of ours alone: in a folder that all can write others may have put something of that name. */
async function stale(paths: string[], {now, isFolder}: {now: number; isFolder: boolean}): Promise<string[]> {
  const own = process.getuid?.()
  const found = await Promise.all(paths.map(path => lstat(path).catch(() => undefined)))
  return paths.filter((_, index) => {
    const stats = found[index]
    if (!stats || stats.uid !== own || now - stats.mtimeMs < staleAfterMs) return false
    return isFolder ? stats.isDirectory() : stats.isFile()
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
    socket.setTimeout(1_000, () => end(true))
  })
}

/** Pools, exports and mounts of ours, each in its place. */
export async function checkStorage(storage: StorageHost): Promise<Diagnosis[]> {
  const check = 'storage'
  const misplaced = await storage.misplaced()
  if (misplaced.length === 0) return [ok(check, 'All pools, exports and mounts are in their places.')]
  const say = (ones: typeof misplaced) => `${ones.map(({what}) => what.replace(/\.$/, '')).join('; ')}.`
  const restorable = misplaced.filter(({canRestore}) => canRestore)
  const dead = misplaced.filter(({canRestore}) => !canRestore)
  const repair = async () => {
    const failures = await storage.restore()
    if (failures.length > 0) throw new Error(failures.join('; '))
  }
  const found: Diagnosis[] = []
  if (restorable.length > 0) {
    const fix = 'Open, export and mount it again, as after a restart.'
    found.push({check, level: 'error', message: say(restorable), fix, repair})
  }
  if (dead.length > 0) {
    const fix = 'Bring the node back that exports it; what waits for it goes on then.'
    found.push({check, level: 'error', message: say(dead), fix})
  }
  return found
}
