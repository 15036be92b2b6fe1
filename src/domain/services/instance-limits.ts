import type {InputOf} from '../../contract/contract.ts'
import type {Claim, ClaimSpec} from '../../contract/schemas/claims.ts'
import {type Caller, seesAll} from '../caller.ts'
import {isFinal} from '../claim.ts'
import {problem} from '../errors.ts'
import type {FleetMemory} from '../fleet-memory.ts'
import {offerOf} from '../offers.ts'
import {limitsMissing} from '../placement.ts'
import type {Tables} from '../ports.ts'

type Work = Pick<InputOf<'instances.update'>, 'cpus' | 'memoryMiB' | 'restart'>

interface Changed {
  /** What is another now. */
  work: Work
  spec: ClaimSpec
  limits: Pick<Work, 'cpus' | 'memoryMiB'>
}

/**
 * What of the work changes: undefined where nothing does. What its node has to give must suffice, and what was sold with
 * a spec of the catalogue stays as it was sold, unless a super administrator changes it.
 */
export async function changedWork(
  {tx, memory}: {tx: Tables; memory: FleetMemory},
  {claim, work: asked}: {claim: Claim; work: Work},
  caller: Caller,
): Promise<Changed | undefined> {
  const {name, spec, status, catalogueSpec} = claim
  const isOther = ([key, value]: [string, unknown]) => value !== undefined && value !== spec[key as keyof Work]
  const work: Work = Object.fromEntries(Object.entries(asked).filter(isOther))
  if (Object.keys(work).length === 0) return undefined
  if (isFinal(status.phase)) throw problem('instance_finished', {name, status: status.phase})
  const {restart: _, ...limits} = work
  const changed = {work, spec: {...spec, ...work}, limits}
  if (Object.keys(limits).length === 0) return changed
  if (catalogueSpec && !seesAll(caller)) throw problem('limits_sold', {name, spec: catalogueSpec.name})
  await resize({tx, memory}, claim, limits)
  return changed
}

/** One that waits for its place is asked about when it gets one. */
async function resize(
  {tx, memory}: {tx: Tables; memory: FleetMemory},
  {id, name}: Claim,
  limits: Changed['limits'],
): Promise<void> {
  const own = await tx.allocations.findByClaim(id)
  const node = own && (await tx.nodes.find(own.nodeId))
  if (!own || !node) return
  const others = (await tx.allocations.listLive(node.id)).filter(one => one.id !== own.id)
  // To have less is always possible, also where more is sold than there is.
  const {cpus = 0, memoryMiB = 0} = limits
  const raised = {cpus: cpus > own.cpus ? cpus : 0, memoryMiB: memoryMiB > own.memoryMiB ? memoryMiB : 0}
  const reason = limitsMissing(raised, offerOf(node, others, {memory, connected: true}))
  if (reason) throw problem('limits_impossible', {name, node: node.name, reason: `${node.name} has ${reason}`})
  await tx.allocations.resize(own.id, {cpus: limits.cpus ?? own.cpus, memoryMiB: limits.memoryMiB ?? own.memoryMiB})
}

/** As `2 CPUs and 4096 MiB of memory`. */
export function workWords({cpus, memoryMiB, restart}: Work): string {
  return [
    ...(cpus === undefined ? [] : [`${cpus} CPUs`]),
    ...(memoryMiB === undefined ? [] : [`${memoryMiB} MiB of memory`]),
    ...(restart === undefined ? [] : [`the restart policy ${restart}`]),
  ].join(' and ')
}
