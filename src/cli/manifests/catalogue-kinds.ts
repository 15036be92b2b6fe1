import {ApiError} from '../../client/api-error.ts'
import type {Client} from '../../client/client.ts'
import type {Manifests} from '../../contract/schemas/manifests.ts'
import type {Pool} from '../../contract/schemas/storage.ts'
import {followTask} from '../task-progress.ts'
import {alias, type KindOf, type Kinds, pick} from './kind.ts'

const specFields = [
  ...['name', 'gpuModel', 'gpuCount', 'gpuMemoryGiB', 'memorySplit', 'cpus', 'memoryGiB'],
  ...['systemDiskGiB', 'dataDiskGiB', 'pricePerHour', 'listed'],
] as const
const imageFields = ['name', 'address', 'description', 'source', 'memorySplit', 'listed', 'remark'] as const
const fixed = ['kind', 'name']

const spec: KindOf<Manifests['spec']> = {
  find: async (client, {name}) => entryOf(await client.call('specs.list', {name}), name),
  create: async (client, {kind: _, ...input}, {applySet}) =>
    void (await client.call('specs.create', input, {applySet})),
  changeable: specFields.filter(name => !fixed.includes(name)),
  change: async (client, {kind: _, name, ...fields}) => {
    const {id} = mustBe(entryOf(await client.call('specs.list', {name}), name), name)
    await client.call('specs.update', {id, ...fields})
  },
  remove: async (client, id) => void (await client.call('specs.delete', {id})),
  list: async client =>
    (await client.call('specs.list', {})).map(
      one => ({kind: 'spec' as const, ...pick(one, specFields as never)}) as never,
    ),
  replace: ({name}) => `Delete it with \`gpuctl spec delete ${name}\`, then apply again.`,
}

const image: KindOf<Manifests['image']> = {
  find: async (client, {name}) => entryOf(await client.call('images.list', {name}), name),
  create: async (client, {kind: _, ...input}, {applySet}) =>
    void (await client.call('images.create', input, {applySet})),
  changeable: imageFields.filter(name => !fixed.includes(name)),
  change: async (client, {kind: _, name, ...fields}) => {
    const {id} = mustBe(entryOf(await client.call('images.list', {name}), name), name)
    await client.call('images.update', {id, ...fields})
  },
  remove: async (client, id) => void (await client.call('images.delete', {id})),
  list: async client =>
    (await client.call('images.list', {})).map(one => ({kind: 'image' as const, ...pick(one, imageFields)})),
  replace: ({name}) => `Delete it with \`gpuctl image delete ${name}\`, then apply again.`,
}

/** Every user has one, so none is made or taken away. */
const quota: KindOf<Manifests['quota']> = {
  find: (client, {user}) => client.call('quotas.get', {user}),
  create: async () => {},
  changeable: ['gpus', 'maxPriority'],
  change: async (client, {kind: _, ...input}) => void (await client.call('quotas.set', input)),
  list: async client =>
    (await client.call('quotas.list', {})).map(({user, gpus, maxPriority}) => {
      return {kind: 'quota' as const, user, gpus, maxPriority}
    }),
  replace: () => '',
}

const poolFields = ['name', 'node', 'device', 'type', 'storageName', 'content', 'comment'] as const

const pool: KindOf<Manifests['pool']> = {
  find: async (client, wanted) => {
    const found = await poolOf(client, wanted)
    if (!found) return undefined
    return {...poolManifest(found), node: alias(wanted.node, [found.nodeId, found.node], found.node)}
  },
  create: async (client, {kind: _, share, ...input}, {quiet, timeoutMs}) => {
    const {task} = await client.call('pools.create', input)
    if (task) await followTask(client, task.id, {timeoutMs, quiet})
    const made = share && (await poolOf(client, input))
    if (made) await client.call('pools.share', {id: made.id, ...share})
  },
  changeable: ['share'],
  change: async (client, wanted) => {
    const found = mustBe(await poolOf(client, wanted), wanted.name)
    if (wanted.share) await client.call('pools.share', {id: found.id, ...wanted.share})
  },
  list: async client => (await client.call('pools.list', {})).map(poolManifest),
  replace: ({name}) =>
    `A pool is not changed under its data. Destroy it with \`gpuctl storage pool delete ${name}\`, or correct the file.`,
}

function poolManifest(found: Pool): Manifests['pool'] {
  const {share} = found
  return {
    kind: 'pool',
    ...(pick(found, poolFields) as Pick<Manifests['pool'], (typeof poolFields)[number]>),
    ...(found.device === '' ? {device: undefined} : {}),
    ...(share ? {share: pick(share, ['network', 'readWrite', 'rootSquash'])} : {}),
  }
}

async function poolOf(client: Client, {name, node}: {name: string; node: string}): Promise<Pool | undefined> {
  const pools = await client.call('pools.list', {node}).catch(error => {
    if (error instanceof ApiError && error.status === 404 && error.code !== 'not_gpuctl') return []
    throw error
  })
  return pools.find(one => one.name === name)
}

export const catalogueKinds = {spec, image, quota, pool} satisfies Partial<Kinds>

/** The lists filter by a part of the name. */
function entryOf<T extends {name: string}>(found: readonly T[], name: string): T | undefined {
  return found.find(one => one.name === name)
}

function mustBe<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw new Error(`${name} went away meanwhile.`)
  return found
}
