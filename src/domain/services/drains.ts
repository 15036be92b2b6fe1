import type {InputOf} from '../../contract/contract.ts'
import type {Drain, DrainedWork} from '../../contract/schemas/drains.ts'
import {type Caller, seesAll} from '../caller.ts'
import {fateOf, isDraining} from '../drain.ts'
import {problem} from '../errors.ts'
import type {Tables} from '../ports.ts'
import type {NodeRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'

type Wish = Omit<InputOf<'nodes.drain'>, 'id'> & {node: NodeRecord}

/** Cordons the node and notes the wish; the drain controller moves and ends its work. A second drain replaces the first. */
export async function drainNode(
  {journal, clock, store}: Pick<ServiceDependencies, 'journal' | 'clock' | 'store'>,
  {node, reason = 'drained', deadlineSeconds, force = false, dryRun}: Wish,
  caller: Caller,
): Promise<{after: NodeRecord; work: DrainedWork[]}> {
  const name = node.name || node.hostname
  if (node.admission === 'pending') throw problem('not_found', {kind: 'node', name})
  if (dryRun) return {after: node, work: await workOn(store, node.id, force, caller)}
  return journal.change(async (tx, record) => {
    const before = await tx.nodes.find(node.id)
    if (!before) throw problem('not_found', {kind: 'node', name})
    const nowMs = clock.now()
    const at = new Date(nowMs).toISOString()
    const deadlineAt = deadlineSeconds === undefined ? null : new Date(nowMs + deadlineSeconds * 1000).toISOString()
    const drain: Drain = {state: 'draining', by: caller.username, startedAt: at, deadlineAt, force, endedAt: null}
    const after = await tx.nodes.save({...before, schedulable: false, cordonReason: reason, drain, updatedAt: at})
    const work = await workOn(tx, node.id, force, caller)
    const words = `${caller.username} drains ${name}${isDraining(before) ? ' anew' : ''}: ${summary(work)}.`
    await record.event('node', {id: node.id, name}, 'DrainStarted', words, caller.username)
    await record.audit(caller, 'nodes.drain', node.id, {reason, deadlineAt, force, claims: work.length})
    return {after, work}
  })
}

async function workOn(tables: Tables, nodeId: string, force: boolean, caller: Caller): Promise<DrainedWork[]> {
  const work: DrainedWork[] = []
  for (const {claimId, gpus} of await tables.allocations.listLive(nodeId)) {
    const claim = await tables.claims.find(claimId)
    const instance = claim && (await tables.instances.find(claim.instanceId))
    if (!claim || !instance) continue
    const isShown = seesAll(caller) || claim.ownerId === caller.id
    const named = isShown ? {claim: claim.name, owner: claim.owner} : {claim: null, owner: null}
    work.push({...named, gpus: gpus.length, fate: fateOf(claim, instance, {force})})
  }
  return work
}

/** `2 go back to the queue, 1 may finish`; no names, since everybody sees the events of nodes. */
function summary(work: readonly DrainedWork[]): string {
  const words = {moves: 'to the queue', finishes: 'may finish', stopped: 'stopped and in the way', ends: 'to be ended'}
  const parts = Object.entries(words).flatMap(([fate, text]) => {
    const count = work.filter(one => one.fate === fate).length
    return count === 0 ? [] : [`${count} ${text}`]
  })
  return parts.length === 0 ? 'nothing runs there' : parts.join(', ')
}
