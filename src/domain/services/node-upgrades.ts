import type {InputOf, OutputOf} from '../../contract/contract.ts'
import {isNewer} from '../../contract/version.ts'
import type {Caller} from '../caller.ts'
import {isProblem, problem} from '../errors.ts'
import type {OwnProgram} from '../ports.ts'
import {type UpgradeWork, upgradeNodes} from '../recipes/upgrade-recipes.ts'
import type {NodeRecord} from '../records.ts'
import {tryOnly} from '../rehearsal.ts'
import {publicTask} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'
import type {TaskService} from './tasks.ts'

interface UpgradeParts {
  find: (reference: string, caller: Caller) => Promise<NodeRecord>
  tasks: TaskService
}

type Skipped = OutputOf<'nodes.upgrade'>['skipped'][number]

const defaults = {canary: 1, maxUnavailable: '10%'}
const byHand = 'install it there by hand, and restart the agent'

/** Newer agents for nodes: this server's own program, by a task. */
export function nodeUpgrades(deps: ServiceDependencies, {find, tasks}: UpgradeParts): Services['nodes']['upgrade'] {
  return upgrade

  async function upgrade(
    {dryRun, ...input}: InputOf<'nodes.upgrade'>,
    caller: Caller,
  ): Promise<OutputOf<'nodes.upgrade'>> {
    const {nodes: names, all = false, canary = defaults.canary, maxUnavailable = defaults.maxUnavailable} = input
    if (all === (names !== undefined)) {
      throw problem('input_invalid', {field: 'nodes', problem: 'or all is needed', fix: 'Give nodes, or all: true.'})
    }
    const found = names
      ? await Promise.all([...new Set(names)].map(name => find(name, caller)))
      : await deps.store.nodes.list({admission: 'active'})
    const nodes = [...new Map(found.map(node => [node.id, node])).values()]
    const program = await deps.program()
    const {version} = program
    const looked = await Promise.all(nodes.map(async node => ({node, skip: await obstacleOf(node, program)})))
    const targets = looked.flatMap(({node, skip}) => (skip ? [] : [{nodeId: node.id, node: nameOf(node)}]))
    const skipped = looked.flatMap(({node, skip}) => (skip ? [{node: nameOf(node), ...skip}] : []))
    const waves = wavesOf(targets, {canary, atOnce: countOf(maxUnavailable, targets.length)})
    const plan = {version, waves: waves.map(wave => wave.map(({node}) => node)), skipped}
    if (targets.length === 0) return {task: null, ...plan}
    if (dryRun) {
      await tryOnly(one => upgrade(input, one), caller)
      return {task: null, ...plan}
    }
    const work: UpgradeWork = {version, waves}
    const task = await deps.journal.change((tx, record) =>
      tasks.submit({tx, record}, {recipe: upgradeNodes, input: work, caller}),
    )
    tasks.start(task)
    return {task: publicTask(task), ...plan}
  }

  /** Why a node is left out; undefined where it is to be upgraded. */
  async function obstacleOf(
    node: NodeRecord,
    {version, platform}: OwnProgram,
  ): Promise<Omit<Skipped, 'node'> | undefined> {
    const because = (reason: string) => ({reason, isCurrent: false})
    if (node.admission !== 'active') return because('it is not admitted')
    if (node.kind !== 'agent') return because('it has no agent: the server itself speaks with its engine')
    try {
      const found = await deps.fleet.agent(node.id).program()
      if (found.version === version && found.trial === null) return {reason: `it runs ${version}`, isCurrent: true}
      if (isNewer(found.version, version)) return {reason: `it runs the newer ${found.version}`, isCurrent: true}
      if (found.platform !== platform) {
        return because(`it is ${found.platform}, and this server has the program for ${platform}: ${byHand}`)
      }
      return undefined
    } catch (error) {
      if (!isProblem(error)) throw error
      if (error.code === 'node_offline') return because('it is not connected')
      const reason = String(error.details.reason ?? error.message)
      // An agent from before this could be asked.
      if (/knows no GET/.test(reason)) return because(`its agent is too old to be replaced from here: ${byHand}`)
      return because(reason)
    }
  }
}

function nameOf({name, hostname}: NodeRecord): string {
  return name || hostname
}

/** `10%` or `3`; at least one. */
function countOf(text: string, total: number): number {
  const count = Number.parseInt(text, 10)
  return Math.max(1, text.endsWith('%') ? Math.floor((total * count) / 100) : count)
}

export function wavesOf<T>(targets: readonly T[], {canary, atOnce}: {canary: number; atOnce: number}): T[][] {
  const waves = canary > 0 && targets.length > 0 ? [targets.slice(0, canary)] : []
  for (let at = canary; at < targets.length; at += atOnce) waves.push(targets.slice(at, at + atOnce))
  return waves
}
