import {problem} from '../errors.ts'
import {repairNode} from '../recipes/repair-recipes.ts'
import {publicTask} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import type {Services} from './services.ts'
import type {TaskService} from './tasks.ts'

/** What the agent of a node finds on its machine, and the task that lets it mend that. */
export function nodeRepairs(
  {fleet, journal}: ServiceDependencies,
  {keeping, tasks}: {keeping: NodeKeeping; tasks: TaskService},
): Pick<Services['nodes'], 'examine' | 'repair'> {
  return {
    async examine({id}, caller) {
      const node = await keeping.own(id, caller)
      return fleet.agent(node.id).examine()
    },
    async repair({id, checks}, caller) {
      const {id: nodeId, name, hostname} = await keeping.own(id, caller)
      const node = name || hostname
      const found = await fleet.agent(nodeId).examine()
      const known = new Set(found.map(({check}) => check))
      const strange = checks.find(check => !known.has(check))
      if (strange !== undefined) {
        const fix = `Choose of: ${[...known].join(', ') || 'none'}.`
        throw problem('input_invalid', {field: 'checks', problem: `${strange} is nothing that ${node} looks at`, fix})
      }
      const task = await journal.change((tx, record) =>
        tasks.submit({tx, record}, {recipe: repairNode, input: {nodeId, node, checks}, node, caller}),
      )
      tasks.start(task)
      return {task: publicTask(task)}
    },
  }
}
