import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import {addMember} from '../recipes/member-recipes.ts'
import {publicTask} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {emptyNode} from './joining.ts'
import type {TaskService} from './tasks.ts'

/**
 * Records a machine and hands in its joining of a cluster. It takes no work before an agent of its own has come: until
 * then it is cordoned, and when the joining fails its record goes again.
 */
export async function addClusterMember(
  {store, journal, secrets, clock}: ServiceDependencies,
  tasks: TaskService,
  {name, address, master}: InputOf<'members.add'>,
  caller: Caller,
): Promise<OutputOf<'members.add'>> {
  const active = await store.nodes.list({admission: 'active'})
  if (active.some(node => node.address === address || node.claimedAddress === address)) {
    throw problem('name_taken', {kind: 'node', name: address})
  }
  const known = active.find(node => node.address === master || node.claimedAddress === master)
  const id = secrets.uuid()
  const at = new Date(clock.now()).toISOString()
  const {node, task} = await journal.change(async (tx, record) => {
    if (await tx.nodes.findActiveByName(name)) throw problem('name_taken', {kind: 'node', name})
    const node = await tx.nodes.insert({
      ...emptyNode(id, at),
      ...{name, hostname: name, address, admission: 'active', ownerId: caller.id},
      ...{schedulable: false, cordonReason: 'It has no agent yet.'},
    })
    await record.event('node', {id, name}, 'Added', `${caller.username} adds ${name} to a cluster.`, caller.username)
    const label = memberLabel(node)
    const input = {nodeId: id, label, name, address, master, masterId: known?.id ?? ''}
    const task = await tasks.submit({tx, record}, {recipe: addMember, input, node: known?.name ?? '', caller})
    return {node, task}
  })
  tasks.start(task)
  return {nodeId: node.id, label: memberLabel(node), task: publicTask(task)}
}

/** As document 001 counts nodes: `node-003`. */
function memberLabel({number}: {number: number}): string {
  return `node-${String(number).padStart(3, '0')}`
}
