import type {InputOf} from '../../contract/contract.ts'
import type {Claim} from '../../contract/schemas/claims.ts'
import {type Caller, hasRole} from '../caller.ts'
import {isFinal} from '../claim.ts'
import {problem} from '../errors.ts'
import type {Tables} from '../ports.ts'
import {checkPriority} from '../quota.ts'
import type {ServiceDependencies} from './dependencies.ts'

const mostPriority = 100

/** Another place in the queue, from the next pass on. One that runs keeps the priority for when it has to wait again. */
export async function reprioritize(
  {journal, clock, wake}: Pick<ServiceDependencies, 'journal' | 'clock' | 'wake'>,
  {id, name: reference}: Pick<Claim, 'id' | 'name'>,
  asked: InputOf<'claims.reprioritize'>['priority'],
  caller: Caller,
): Promise<Claim> {
  const isAdmin = hasRole(caller, 'super_admin')
  const front = asked === 'front'
  if (front && !isAdmin) throw problem('role_too_low', {needed: 'super_admin', role: caller.role})
  const changed = await journal.change(async (tx, record) => {
    const claim = await tx.claims.find(id)
    if (!claim) throw problem('not_found', {kind: 'claim', name: reference})
    const {name, spec, status} = claim
    if (isFinal(status.phase)) throw problem('claim_finished', {name, phase: status.phase})
    const before = spec.priority ?? 0
    const priority = front ? await frontOf(tx, claim) : asked
    if (priority === before) return claim
    if (!isAdmin) await checkOwn(tx, claim, priority)
    const updatedAt = new Date(clock.now()).toISOString()
    const saved = await tx.claims.saveSpec({...claim, updatedAt, spec: {...spec, priority}})
    const words = `${caller.username} gave ${name} priority ${priority}; it was ${before}.`
    await record.event('claim', saved, 'Reprioritized', words, caller.username)
    await record.audit(caller, 'claims.reprioritize', id, {name, priority, before, front})
    return saved
  })
  wake('queue', `claim:${id}`)
  return changed
}

/** Rule 2 holds for its owner, whoever asks. */
async function checkOwn(tx: Tables, {ownerId, spec}: Claim, priority: number): Promise<void> {
  const owner = await tx.users.find(ownerId)
  if (owner && priority > (spec.priority ?? 0)) checkPriority(owner, priority)
}

/** The least priority with which it stands before all others: age decides among equals. */
async function frontOf(tx: Tables, {id, name, number, spec, status}: Claim): Promise<number> {
  if (status.phase !== 'Pending') throw problem('claim_not_waiting', {name, phase: status.phase})
  const [first] = (await tx.claims.pending({limit: 2})).filter(one => one.id !== id)
  const own = spec.priority ?? 0
  if (!first) return own
  const highest = first.spec.priority ?? 0
  const needed = number < first.number ? highest : highest + 1
  if (needed <= mostPriority) return Math.max(own, needed)
  const other = await tx.claims.find(first.id)
  throw problem('queue_front_taken', {name, first: other?.name ?? first.id})
}
