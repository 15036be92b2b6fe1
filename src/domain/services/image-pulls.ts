import type {InputOf} from '../../contract/contract.ts'
import type {Task} from '../../contract/schemas/tasks.ts'
import type {Caller} from '../caller.ts'
import {isProblem, problem} from '../errors.ts'
import {pullImage} from '../recipes/image-recipes.ts'
import type {NodeRecord} from '../records.ts'
import {publicTask} from '../task.ts'
import {catalogueFinders} from './catalogue.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import {resolve} from './references.ts'
import type {TaskService} from './tasks.ts'

interface PullParts {
  keeping: NodeKeeping
  tasks: TaskService
}

/** All tasks or none: one node that pulls this image already refuses them. */
export async function pullImages(
  deps: Pick<ServiceDependencies, 'store' | 'journal' | 'fleet'>,
  {keeping, tasks}: PullParts,
  {image: reference, nodes: names}: InputOf<'images.pull'>,
  caller: Caller,
): Promise<Task[]> {
  const image = await addressOf(deps, reference)
  const nodes = names ? await Promise.all(names.map(name => keeping.own(name, caller))) : await everywhere()
  for (const {name, inventory} of nodes) {
    const fix = 'Choose nodes whose runtime is docker.'
    if (inventory?.images === false)
      throw problem('input_invalid', {field: 'nodes', problem: `${name} has no images.`, fix})
  }
  if (nodes.length === 0) throw problem('not_found', {kind: 'node', name: 'that is connected and has images'})
  const begun = await deps.journal.change(async (tx, record) => {
    const made = []
    for (const {id: nodeId, name: node} of nodes) {
      const input = {nodeId, node, image}
      made.push(await tasks.submit({tx, record}, {recipe: pullImage, input, node, caller}))
    }
    return made
  })
  for (const task of begun) tasks.start(task)
  return begun.map(publicTask)

  async function everywhere(): Promise<NodeRecord[]> {
    const mine = await keeping.mine(caller)
    const active = await deps.store.nodes.list({admission: 'active'})
    return active.filter(({id, inventory}) => (!mine || mine.has(id)) && deps.fleet.connected(id) && inventory?.images)
  }
}

/** An entry of the catalogue, or an address as it is. */
async function addressOf({store}: Pick<ServiceDependencies, 'store'>, reference: string): Promise<string> {
  try {
    return (await resolve(reference, catalogueFinders('image', store.images))).address
  } catch (error) {
    if (!isProblem(error, 'not_found')) throw error
    return reference
  }
}
