import type {Claim, ClaimSpec} from '../../contract/schemas/claims.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import type {Tables} from '../ports.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {readyVolume, type SiteFinder} from './site-finder.ts'

type Volumes = NonNullable<ClaimSpec['volumes']>

/** The spec with ids of sites in place of how the caller named them, bound to their node. */
export type BindSites = (spec: ClaimSpec, volumes: Volumes, caller: Caller) => Promise<ClaimSpec>

/** Sites that a claim mounts are the caller's own; a super administrator's may be anybody's. Foreign ones look absent. */
export function siteBinder({store}: Pick<ServiceDependencies, 'store'>, finder: SiteFinder): BindSites {
  return async (spec, volumes, caller) => {
    if (spec.image === 'host') {
      throw refused('cannot be mounted by a process of the node itself', 'Choose an image.')
    }
    checkPaths(volumes, spec)
    const sites = await Promise.all(volumes.map(({site}) => finder.findVolume(site, caller, 'owned')))
    const nodeIds = [...new Set(sites.map(({nodeId}) => nodeId))]
    const node = await store.nodes.find(nodeIds[0] ?? '')
    if (!node || nodeIds.length > 1) throw refused('lie on several nodes', 'Mount sites of one node.')
    if (spec.node !== undefined && spec.node !== node.name && spec.node !== node.id) {
      throw refused(`lie on node ${node.name}`, `Leave out the node, or say --node ${node.name}.`)
    }
    return {...spec, node: node.id, volumes: volumes.map((volume, at) => ({...volume, site: sites[at]!.id}))}
  }
}

/** In the transaction that records the claim: from here on none of its sites is deleted before it ends. */
export async function noteMounts(tx: Tables, {id, spec}: Pick<Claim, 'id' | 'spec'>): Promise<void> {
  for (const siteId of new Set(spec.volumes?.map(({site}) => site))) {
    const site = await tx.sites.share(siteId)
    if (!site) throw problem('not_found', {kind: 'site', name: siteId})
    readyVolume(site)
    await tx.sites.noteMount(siteId, id)
  }
}

/** Each has its own place, and none lies in another: what is mounted later would hide it. */
function checkPaths(volumes: Volumes, {dataDiskGiB}: ClaimSpec): void {
  const paths = [...volumes.map(({path}) => path), ...(dataDiskGiB === undefined ? [] : ['/data'])].sort()
  for (const [at, path] of paths.entries()) {
    const other = paths.find((one, index) => index !== at && `${one}/`.startsWith(`${path}/`))
    if (other !== undefined) throw refused(`meet at ${other}`, 'Give each a path outside of the others.')
  }
}

function refused(words: string, fix: string) {
  return problem('input_invalid', {field: 'volumes', problem: words, fix})
}
