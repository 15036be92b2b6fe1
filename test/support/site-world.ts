import type {InputOf} from '../../src/contract/contract.ts'
import type {Task} from '../../src/contract/schemas/tasks.ts'
import {openStorage} from '../../src/storage/registry.ts'
import {temporaryDirectory} from './temporary-directory.ts'
import {eventually} from './wait.ts'
import {gpuNode, world} from './world.ts'
import {looseDisk, zfs} from './zfs.ts'

export type PoolKind = 'zfs' | 'directory'

const over: readonly Task['status'][] = ['completed', 'failed']

/** A world with node n1, whose storage is this machine's, a pool on it, and room for sites of 16 MiB. */
export async function siteWorld(kind: PoolKind, store: 'sqlite' | 'postgres' = 'sqlite') {
  if (kind === 'zfs') await zfs()
  const host = openStorage({directory: await temporaryDirectory()})
  const plane = await world({
    nodes: [gpuNode('n1', 2, {storage: (method, input, signal) => host.call(method, input, signal)})],
    store,
  })
  const {services, admin} = plane
  const {device, pool} = kind === 'zfs' ? await looseDisk() : {device: undefined, pool: 'tank'}

  async function ended(id: string): Promise<Task> {
    await eventually(async () => over.includes((await services.tasks.get({id}, admin)).status), {
      withinMs: 20_000,
      what: 'the end of the task',
    })
    return services.tasks.get({id}, admin)
  }

  /** Waits for the end of what was begun, which has to be a good one. */
  async function done(begun: Promise<{task: Task | null}>): Promise<Task> {
    const {task} = await begun
    const over = await ended(task!.id)
    if (over.status !== 'completed') throw new Error(`${over.type}: ${over.message}`)
    return over
  }

  const makeSite = (name: string, rest: Partial<InputOf<'sites.create'>> = {}) =>
    done(services.sites.create({name, node: 'n1', quotaBytes: 16 * 2 ** 20, ...rest}, admin))

  await done(services.pools.create({name: pool, node: 'n1', type: kind, device}, admin))
  await services.nodes.setQuota({id: 'n1', storageQuotaGb: 1}, admin)
  const volumes = () => host.call('volumes.list', {pool, type: kind})
  return {...plane, services, store: plane.store, host, pool, ended, done, makeSite, volumes}
}
