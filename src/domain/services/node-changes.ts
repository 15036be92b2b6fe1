import type {Caller} from '../caller.ts'
import {isFinal} from '../claim.ts'
import {problem} from '../errors.ts'
import {evict} from '../lifecycle.ts'
import type {Tables} from '../ports.ts'
import type {NodeRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'

type Deps = Pick<ServiceDependencies, 'journal' | 'clock'>

export function setSchedulable(
  {journal, clock}: Deps,
  {node, schedulable, reason}: {node: NodeRecord; schedulable: boolean; reason: string},
  caller: Caller,
): Promise<NodeRecord> {
  return journal.change(async (tx, record) => {
    const before = await stillThere(tx, node)
    if (before.schedulable === schedulable && before.cordonReason === reason) return before
    const drain = schedulable ? undefined : before.drain
    const updatedAt = new Date(clock.now()).toISOString()
    const after = await tx.nodes.save({...before, schedulable, cordonReason: reason, drain, updatedAt})
    const named = {id: after.id, name: after.name || after.hostname}
    const [type, words] = schedulable ? ['Uncordoned', 'takes work again'] : ['Cordoned', 'takes no new work']
    await record.event('node', named, type!, `${named.name} ${words}${reason ? `: ${reason}` : ''}.`, caller.username)
    await record.audit(caller, schedulable ? 'nodes.uncordon' : 'nodes.cordon', after.id, {reason})
    return after
  })
}

/** Its code is gone; its key stays known, so that an approval lets it in again. */
export function blockNode(
  {journal, clock}: Deps,
  {node, reason}: {node: NodeRecord; reason: string},
  caller: Caller,
): Promise<NodeRecord> {
  return journal.change(async (tx, record) => {
    const before = await stillThere(tx, node)
    if (before.admission === 'blocked') return before
    const spent = {code: null, codeExpiresAt: null, pollSecretHash: null}
    const updatedAt = new Date(clock.now()).toISOString()
    const after = await tx.nodes.save({...before, ...spent, admission: 'blocked', updatedAt})
    const name = after.name || after.hostname
    const words = `${caller.username} blocked ${name}${reason ? `: ${reason}` : ''}.`
    await record.event('node', {id: after.id, name}, 'Blocked', words, caller.username)
    await record.audit(caller, 'nodes.block', after.id, {name, reason})
    return after
  })
}

/** Its work goes elsewhere or is given up. Answers the claims that it had; throws node_busy unless they are confirmed. */
export function deleteNode(
  {journal, clock}: Deps,
  {node: {id, name: knownAs, hostname}, confirm}: {node: NodeRecord; confirm: string | undefined},
  caller: Caller,
): Promise<string[]> {
  return journal.change(async (tx, record) => {
    const name = knownAs || hostname
    await stillThere(tx, {id, name, hostname})
    const live = await tx.allocations.listLive(id)
    if (live.length > 0 && confirm !== name) throw problem('node_busy', {name, count: live.length})
    for (const allocation of live) await evictClaim(tx, allocation, clock.now())
    for (const runtime of await tx.runtimes.listOfNode(id)) await tx.runtimes.delete(runtime.id)
    await tx.volumes.forgetNode(id)
    await tx.instanceSnapshots.forgetNode(id)
    // What is on its disks stays there; nobody gets at it from here any more.
    for (const table of [tx.pools, tx.mounts])
      for (const one of await table.list({nodeId: id})) await table.delete(one.id)
    await tx.nodes.delete(id)
    await record.event('node', {id, name}, 'Deleted', `${caller.username} deleted ${name}.`, caller.username)
    await record.audit(caller, 'nodes.delete', id, {name, claims: live.length})
    return live.map(({claimId}) => claimId)
  })
}

async function evictClaim(tx: Tables, {id, claimId}: {id: string; claimId: string}, nowMs: number): Promise<void> {
  const at = new Date(nowMs).toISOString()
  const claim = await tx.claims.find(claimId)
  const instance = claim && (await tx.instances.find(claim.instanceId))
  await tx.allocations.release(id, at)
  if (!claim || !instance) return
  const next = evict(claim, instance, 'NodeDeleted', nowMs)
  if (next.claim) await tx.claims.save(next.claim)
  if (next.instance) await tx.instances.save(next.instance)
  else if (isFinal(claim.status.phase)) await tx.instances.save({...instance, status: 'exited', updatedAt: at})
}

async function stillThere(tx: Tables, node: Pick<NodeRecord, 'id' | 'name' | 'hostname'>): Promise<NodeRecord> {
  const found = await tx.nodes.find(node.id)
  if (!found) throw problem('not_found', {kind: 'node', name: node.name || node.hostname})
  return found
}
