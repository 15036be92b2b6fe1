import {isProblem, problem} from '../errors.ts'
import type {AgentPort, OwnProgram} from '../ports.ts'
import {isPassing, type Recipe, type Step, type StepRun} from '../task.ts'

export interface UpgradeWork {
  version: string
  /** One after the other, the nodes of one at once; the first one or two are the canaries. */
  waves: {nodeId: string; node: string}[][]
}

type Target = UpgradeWork['waves'][number][number]

/** For sending, unpacking, the agent's trial and its way back, which are over long before. */
const mostMs = 240_000

/** Of the nodes of all waves, by their ids; kept with the task. */
interface Progress {
  done: string[]
  begunMs: Record<string, number>
  reasons: Record<string, string>
}

/**
 * Newer agents, wave by wave, up to the first failure. What was upgraded stays so: nothing is wrong with it, and an agent
 * that fails has gone back by itself.
 */
export const upgradeNodes: Recipe<UpgradeWork> = {
  type: 'node.upgrade',
  deadlineMs: 24 * 60 * 60_000,
  lookAgainMs: 1_000,
  object: ({version, waves}) => {
    const [first, ...others] = waves.flat()
    return `${first?.node}${others.length > 0 ? ` and ${others.length} more` : ''} to ${version}`
  },
  locks: ({waves}) => waves.flat().map(({node}) => `node:${node}`),
  steps: ({waves}) => waves.map((wave, index) => stepOf(wave, index)),
  result: ({input}) => ({version: input.version, upgraded: input.waves.flat().map(({node}) => node)}),
}

function stepOf(wave: readonly Target[], index: number): Step<UpgradeWork> {
  const names = wave.length > 3 ? `${wave.length} nodes` : namesOf(wave)
  return {
    name: `wave-${index + 1}`,
    weight: wave.length,
    title: ({version}) => `Upgrading ${names} to ${version}`,
    isDone: async ({notes}) => wave.every(({nodeId}) => progressOf(notes).done.includes(nodeId)),
    async do(run) {
      const {version, waves} = run.input
      const open = wave.filter(({nodeId}) => !isSettled(progressOf(run.notes), nodeId))
      await Promise.all(open.map(target => look(run, target)))
      const {done, reasons} = progressOf(run.notes)
      const waiting = wave.filter(({nodeId}) => !isSettled({done, reasons}, nodeId))
      if (waiting.length > 0) throw problem('upgrade_underway', {names: namesOf(waiting), version})
      if (wave.every(({nodeId}) => done.includes(nodeId))) return
      const reason = wave.flatMap(({nodeId, node}) => (reasons[nodeId] ? [`${node}: ${reasons[nodeId]}`] : []))
      const left = waves.flat().filter(({nodeId}) => !done.includes(nodeId))
      throw problem('upgrade_stopped', {version, reason: reason.join(' '), left: namesOf(left)})
    },
  }
}

/** One look at a node, and what is to be done next. An agent that is away is on its way, until its time is over. */
async function look(run: StepRun<UpgradeWork>, {nodeId, node}: Target): Promise<void> {
  const {version} = run.input
  const begunMs = progressOf(run.notes).begunMs[nodeId] ?? run.now()
  note(run, {begunMs: {...progressOf(run.notes).begunMs, [nodeId]: begunMs}})
  const fail = async (reason: string) => {
    note(run, {reasons: {...progressOf(run.notes).reasons, [nodeId]: reason}})
    await run.log(`${node} was not upgraded: ${reason}`)
  }
  try {
    const agent = run.agent(nodeId)
    const found = await agent.program()
    if (found.version === version) {
      if (found.trial === version) await agent.confirmProgram(version)
      note(run, {done: [...progressOf(run.notes).done, nodeId]})
      return await run.log(`${node} runs ${version}.`)
    }
    if (found.failed?.attempt === run.taskId) {
      return await fail(`${found.failed.reason} It runs ${found.version} again.`)
    }
    if (found.trial !== version) await send(run, agent)
  } catch (error) {
    run.signal.throwIfAborted()
    if (isProblem(error, 'node_failed')) return await fail(String(error.details.reason))
    if (!isPassing(error)) throw error
  }
  if (run.now() - begunMs > mostMs) await fail('It did not come back with it.')
}

async function send(run: StepRun<UpgradeWork>, agent: AgentPort): Promise<void> {
  const {version, checksum: sha256, content} = await run.program()
  const part = {version, sha256, sizeBytes: content.length, attempt: run.taskId}
  await agent.sendProgram(part, piecesOf(content), run.signal)
}

const pieceBytes = 256 * 1024

async function* piecesOf(content: OwnProgram['content']): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += pieceBytes) yield content.subarray(at, at + pieceBytes)
}

function progressOf(notes: Record<string, unknown>): Progress {
  return {done: [], begunMs: {}, reasons: {}, ...notes}
}

function note({notes}: StepRun<UpgradeWork>, change: Partial<Progress>): void {
  Object.assign(notes, change)
}

function isSettled({done, reasons}: Pick<Progress, 'done' | 'reasons'>, nodeId: string): boolean {
  return done.includes(nodeId) || nodeId in reasons
}

function namesOf(targets: readonly Target[]): string {
  return targets.map(({node}) => node).join(', ')
}
