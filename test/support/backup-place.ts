import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {OperationName} from '../../src/contract/routes.ts'
import type {Backup} from '../../src/contract/schemas/sites.ts'
import type {Task} from '../../src/contract/schemas/tasks.ts'
import {openStorage} from '../../src/storage/registry.ts'
import {type ControlPlane, controlPlane} from './control-plane.ts'
import {linkedStorage} from './linked-storage.ts'
import {temporaryDirectory} from './temporary-directory.ts'
import {eventually} from './wait.ts'

/** Does the work of a task to its end, as the caller or the administrator. */
export function taskDoer(plane: ControlPlane) {
  const ended = async (
    name: OperationName,
    input: Record<string, unknown>,
    token = plane.adminToken,
  ): Promise<Task> => {
    const {task} = await plane.ok<{task: Task}>(name, input, {token})
    const look = () => plane.ok<Task>('tasks.get', {id: task.id}, {token})
    await eventually(async () => (await look()).finishedAt !== null, {withinMs: 60_000, what: name})
    return look()
  }
  const done = async (...call: Parameters<typeof ended>): Promise<Task> => {
    const task = await ended(...call)
    if (task.status !== 'completed') throw new Error(`${task.type}: ${task.message}`)
    return task
  }
  return {ended, done}
}

/** A node with a pool of its own over a real link; its sites lie in folders. */
export async function nodeWithPool(plane: ControlPlane, name: string, pool: string) {
  const token = plane.adminToken
  const storage = openStorage({directory: await temporaryDirectory()})
  const {nodeId} = await linkedStorage(plane, name, storage)
  const {done} = taskDoer(plane)
  await done('pools.create', {name: pool, node: name, type: 'fake'})
  await plane.ok('nodes.setQuota', {id: name, storageQuotaGb: 1}, {token})
  const folderOf = async (site: string) => {
    const found = (await storage.call('volumes.list', {pool, type: 'fake'})).find(({volume}) => volume === site)
    return found?.path ?? ''
  }
  return {
    nodeId,
    storage,
    folderOf,
    /** A site of that user with a page in it. */
    async site(site: string, owner: string, page = 'hello'): Promise<void> {
      await done('sites.create', {name: site, node: name, pool, quotaBytes: 2 ** 26, owner})
      await writeFile(join(await folderOf(site), 'page'), page)
    },
  }
}

/** Site shop of bob on n1, with a backup in a folder of n1. */
export async function backupPlace() {
  const plane = await controlPlane()
  const home = await nodeWithPool(plane, 'n1', 'tank')
  const bob = await plane.login('bob', (await plane.user('bob')).password)
  await home.site('shop', 'bob', 'bytes of bob')
  const target = await temporaryDirectory('gpuctl-target-')
  const token = plane.adminToken
  await plane.ok('backupTargets.create', {name: 'disk', type: 'directory', path: target}, {token})
  const doer = taskDoer(plane)
  await doer.done('backups.create', {site: 'shop', target: 'disk'})
  const list = (input = {}, by = token) => plane.ok<Backup[]>('backups.list', input, {token: by})
  const [backup] = (await list()) as [Backup]
  return {plane, home, bob, target, token, list, backup, ...doer}
}
