import type {Client} from '../../client/client.ts'
import type {Claim} from '../../contract/schemas/claims.ts'
import type {Manifests} from '../../contract/schemas/manifests.ts'
import {alias, type KindOf, type Kinds, pick} from './kind.ts'

const common = ['command', 'env', 'labels', 'restart', 'volumes', 'node'] as const
const claimFields = [
  ...common,
  ...(['image', 'gpus', 'cpus', 'memoryMiB', 'systemDiskGiB', 'dataDiskGiB'] as const),
  ...(['priority', 'maxTimeSeconds', 'nodeLabels'] as const),
] as const

const claim: KindOf<Manifests['claim']> = {
  find: async (client, wanted) => {
    const found = await newestOf(client, wanted.name)
    return found && asWanted(client, found, wanted, claimManifest(found))
  },
  create: async (client, {kind: _, ...input}, {applySet}) =>
    void (await client.call('claims.submit', input, {applySet})),
  changeable: [],
  partial: ['gpus'],
  change: async () => {},
  remove: cancel,
  list: async client =>
    nameSites(client, (await live(client)).filter(({catalogueSpec}) => !catalogueSpec).map(claimManifest)),
  replace: ({name}) => `What runs is not changed. Cancel it with \`gpuctl claim cancel ${name}\`, then apply again.`,
}

const instance: KindOf<Manifests['instance']> = {
  find: async (client, wanted) => {
    const found = await newestOf(client, wanted.name)
    if (!found) return undefined
    const {remark} = await client.call('instances.get', {id: found.instanceId})
    return asWanted(client, found, wanted, {...instanceManifest(found), remark})
  },
  create: async (client, {kind: _, ...input}, {applySet}) =>
    void (await client.call('instances.create', input, {applySet})),
  changeable: [],
  change: async () => {},
  remove: cancel,
  list: async client => {
    const found = (await live(client)).filter(({catalogueSpec}) => catalogueSpec)
    const all = found.map(async one => {
      const {remark} = await client.call('instances.get', {id: one.instanceId})
      return {...instanceManifest(one), ...(remark === '' ? {} : {remark})}
    })
    return nameSites(client, await Promise.all(all))
  },
  replace: ({name}) =>
    `What runs is not changed. Delete it with \`gpuctl instance delete ${name}\` (its volumes go too), then apply again.`,
}

export const workKinds = {instance, claim} satisfies Partial<Kinds>

/** The caller's newest of that name; one that failed or was given back counts as none, because apply makes it anew. */
async function newestOf(client: Client, name: string): Promise<Claim | undefined> {
  const found = (await client.call('claims.list', {name, limit: 1000})).filter(one => one.name === name)
  const [newest] = found.sort((a, b) => b.number - a.number)
  const isGone = newest?.status.phase === 'Failed' || newest?.status.phase === 'Released'
  return isGone ? undefined : newest
}

async function live(client: Client): Promise<Claim[]> {
  return client.call('claims.list', {live: true, limit: 1000})
}

function claimManifest({name, spec}: Claim): Manifests['claim'] {
  return {kind: 'claim', name, ...pick(spec, claimFields)} as Manifests['claim']
}

function instanceManifest({name, spec, catalogueImage, catalogueSpec}: Claim): Manifests['instance'] {
  const image = catalogueImage?.name ?? spec.image
  return {kind: 'instance', name, image, spec: catalogueSpec?.name ?? '', ...pick(spec, common)}
}

/** Names and ids that mean the same are no difference: image, spec, node and sites in the words of the file. */
async function asWanted<M extends Manifests['claim'] | Manifests['instance']>(
  client: Client,
  {spec, status, catalogueImage, catalogueSpec}: Claim,
  wanted: M,
  found: object,
): Promise<object> {
  const volumes = await sitesAsWanted(client, spec.volumes, wanted.volumes)
  const image = alias(wanted.image, [spec.image, catalogueImage?.name ?? '', catalogueImage?.id ?? ''], spec.image)
  const node =
    spec.node === undefined ? undefined : alias(wanted.node, [spec.node, status.nodeId, status.nodeName], spec.node)
  const {id = '', name = ''} = catalogueSpec ?? {}
  const ofCatalogue = wanted.kind === 'instance' ? {spec: alias(wanted.spec, [id, name], name)} : {}
  return {...found, image, node, volumes, ...ofCatalogue}
}

async function sitesAsWanted(
  client: Client,
  found: Claim['spec']['volumes'],
  wanted: Claim['spec']['volumes'],
): Promise<Claim['spec']['volumes']> {
  if (!found || !wanted) return found
  const ids = await Promise.all(wanted.map(({site}) => client.call('sites.get', {id: site})))
  return found.map(one => {
    const at = ids.findIndex(({id}) => id === one.site)
    return {...one, site: wanted[at]?.site ?? one.site}
  })
}

/** Sites by their names, which another server can have as well. */
async function nameSites<M extends {volumes?: Claim['spec']['volumes']}>(client: Client, found: M[]): Promise<M[]> {
  const ids = [...new Set(found.flatMap(({volumes = []}) => volumes.map(({site}) => site)))]
  const names = new Map(
    await Promise.all(ids.map(async id => [id, (await client.call('sites.get', {id})).name] as const)),
  )
  return found.map(one =>
    one.volumes
      ? {...one, volumes: one.volumes.map(volume => ({...volume, site: names.get(volume.site) ?? volume.site}))}
      : one,
  )
}

async function cancel(client: Client, id: string): Promise<void> {
  await client.call('claims.cancel', {id})
}
