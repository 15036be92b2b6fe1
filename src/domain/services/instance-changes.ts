import type {InputOf} from '../../contract/contract.ts'
import type {Instance} from '../../contract/schemas/instances.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {changedWork, workWords} from './instance-limits.ts'

interface InstanceChange extends InputOf<'instances.update'> {
  /** How the caller named it. */
  reference: string
}

/** Instance and claim have one name. What runs goes on; its container keeps the name that it was made with. */
export async function updateInstance(
  deps: Pick<ServiceDependencies, 'journal' | 'clock' | 'wake' | 'memory'>,
  {id, reference, name, remark, ...work}: InstanceChange,
  caller: Caller,
): Promise<Instance> {
  const {journal, clock, wake} = deps
  const {instance, isResized} = await journal.change(async (tx, record) => {
    const before = await tx.instances.find(id)
    const claim = before && (await tx.claims.find(before.claimId))
    if (!before || !claim) throw problem('not_found', {kind: 'instance', name: reference})
    const changed = await changedWork({tx, memory: deps.memory}, {claim, work}, caller)
    const next = {...before, ...changed?.limits, remark: remark ?? before.remark, name: name ?? before.name}
    const isRenamed = next.name !== before.name
    if (!isRenamed && next.remark === before.remark && !changed) return {instance: before, isResized: false}
    const updatedAt = new Date(clock.now()).toISOString()
    const details = {name: next.name, ...(remark === undefined ? {} : {remark}), ...changed?.work}
    await record.audit(caller, 'instances.update', id, {...details, before: before.name})
    const spec = changed?.spec ?? claim.spec
    if (isRenamed || changed) await tx.claims.saveSpec({...claim, spec, name: next.name, updatedAt})
    const save = isRenamed ? tx.instances.saveName : tx.instances.save
    const instance = await save({...next, ...(isRenamed ? {claim: next.name} : {}), updatedAt})
    const event = (type: string, words: string) => record.event('instance', instance, type, words, caller.username)
    if (changed) await event('Updated', `${caller.username} gave ${before.name} ${workWords(changed.work)}.`)
    if (isRenamed) await event('Renamed', `${caller.username} renamed ${before.name} to ${next.name}.`)
    return {instance, isResized: changed !== undefined}
  })
  if (instance.nodeId) wake('node', instance.nodeId)
  if (isResized) wake('queue', instance.nodeId ? `node:${instance.nodeId}` : `claim:${instance.claimId}`)
  return instance
}
