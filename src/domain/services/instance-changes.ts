import type {Instance} from '../../contract/schemas/instances.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import type {ServiceDependencies} from './dependencies.ts'

interface InstanceChange {
  id: string
  /** How the caller named it. */
  reference: string
  name?: string
  remark?: string
}

/** Instance and claim have one name. What runs goes on; its container keeps the name that it was made with. */
export async function updateInstance(
  {journal, clock, wake}: Pick<ServiceDependencies, 'journal' | 'clock' | 'wake'>,
  {id, reference, name, remark}: InstanceChange,
  caller: Caller,
): Promise<Instance> {
  const changed = await journal.change(async (tx, record) => {
    const before = await tx.instances.find(id)
    const claim = before && (await tx.claims.find(before.claimId))
    if (!before || !claim) throw problem('not_found', {kind: 'instance', name: reference})
    const next = {...before, remark: remark ?? before.remark, name: name ?? before.name}
    if (next.name === before.name && next.remark === before.remark) return before
    const updatedAt = new Date(clock.now()).toISOString()
    const details = {name: next.name, ...(remark === undefined ? {} : {remark})}
    await record.audit(caller, 'instances.update', id, {...details, before: before.name})
    if (next.name === before.name) return tx.instances.save({...next, updatedAt})
    await tx.claims.saveSpec({...claim, name: next.name, updatedAt})
    const saved = await tx.instances.saveName({...next, claim: next.name, updatedAt})
    const words = `${caller.username} renamed ${before.name} to ${next.name}.`
    await record.event('instance', saved, 'Renamed', words, caller.username)
    return saved
  })
  if (changed.nodeId) wake('node', changed.nodeId)
  return changed
}
