import {isProblem, problem} from '../errors.ts'
import {isPassing, type Recipe, type Step} from '../task.ts'

export interface RepairWork {
  nodeId: string
  node: string
  /** As the agent named them. */
  checks: string[]
}

/** Each repair by itself: one that fails keeps the others from nothing, and is told at the end. */
export const repairNode: Recipe<RepairWork> = {
  type: 'node.repair',
  deadlineMs: 60 * 60_000,
  object: ({node}) => node,
  locks: ({node}) => [`node:${node}`],
  steps: ({checks}) => [...checks.map(repairOf), verdict],
  result: ({input}) => ({node: input.node, mended: input.checks}),
}

function repairOf(check: string): Step<RepairWork> {
  return {
    name: `mend-${check}`,
    title: ({node}) => `Mending ${check} on ${node}`,
    async isDone({agent, input, notes}) {
      if (check in failuresOf(notes)) return true
      const found = await agent(input.nodeId).examine()
      return !found.some(one => one.check === check && one.canMend)
    },
    async do({agent, input, notes, signal, log}) {
      try {
        await agent(input.nodeId).repair(check, signal)
        const left = (await agent(input.nodeId).examine()).find(one => one.check === check && one.canMend)
        if (left) throw problem('node_failed', {name: input.node, reason: `after it: ${left.message}`})
      } catch (error) {
        if (!isProblem(error) || isPassing(error)) throw error
        const reason = String(error.details.reason ?? error.message)
        notes.failures = {...failuresOf(notes), [check]: reason}
        await log(`${check} was not mended: ${reason}`)
      }
    },
  }
}

const verdict: Step<RepairWork> = {
  name: 'verdict',
  title: ({node}) => `Looking at what became of ${node}`,
  isDone: async ({notes}) => Object.keys(failuresOf(notes)).length === 0,
  async do({input, notes}) {
    const failures = failuresOf(notes)
    const reason = Object.entries(failures).map(([check, why]) => `${check}: ${why}`)
    throw problem('node_not_mended', {name: input.node, reason: reason.join('; ')})
  },
}

function failuresOf(notes: Record<string, unknown>): Record<string, string> {
  return (notes.failures ?? {}) as Record<string, string>
}
