import {execFileSync} from 'node:child_process'
import {truncate, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as pause} from 'node:timers/promises'
import {runs} from '../support/zfs-daemon.ts'
import {AgentProcess} from './agent-process.ts'
import {type Answer, Api} from './api.ts'
import {createJoinToken} from './fleet.ts'
import {ServerProcess} from './server-process.ts'
import {TaskKillPlan, type Victim} from './task-kill-plan.ts'
import type {EndedTask, TaskLab, TaskTrial} from './task-trials/trial.ts'

export interface TaskKillOptions {
  program: string
  /** Of the agent, where it is another one than the server's. */
  agentProgram?: string
  /** The lab agent with the folder of its programs, in place of the program's own agent. */
  lab?: {agent: string; folder: string}
  /** An empty folder. */
  data: string
  trials: readonly TaskTrial[]
  /** Wanted of each step of each kind of task. */
  killsPerStep: number
  /** Ends the loop earlier. */
  mostKills?: number
  /** And so does the end of this time; each step then has the hits that it has. */
  longestMs?: number
  signal?: AbortSignal
  onProgress?: (text: string) => void
}

type Begun = {task?: EndedTask} & EndedTask
type Blow = 'agent' | 'server' | 'both' | 'cancel'

export interface TaskKillResult {
  /** Kills that hit a task which had begun and had not ended. */
  fired: number
  /** Tasks that ended because somebody else held what they were to destroy. */
  busy: number
  plan: TaskKillPlan
  faults: string[]
}

const mostFaults = 10
/** So long what others hold is tried again. */
const heldMs = 5 * 60_000
/** Within so long after the first of two blows comes the second: what is cancelled is taken back at once. */
const thenMs = {agent: 2_000, server: 2_000, both: 2_000, cancel: 300}

/**
 * F18, M24: in each step of each task the agent, the server or both are killed, or the task is cancelled. A kill must not
 * fail the task; a cancel leaves what was there before. What is there at the end is looked at by each trial itself.
 */
export async function taskKillLoop(options: TaskKillOptions): Promise<TaskKillResult> {
  const loop = await TaskKillLoop.open(options)
  try {
    return await loop.run()
  } finally {
    await loop.close()
  }
}

class TaskKillLoop implements TaskLab {
  readonly #options: TaskKillOptions
  readonly #plan: TaskKillPlan
  readonly #faults: string[] = []
  readonly #devices: string[] = []
  #server: ServerProcess
  #agent: AgentProcess
  #api: Api
  #trial = ''
  #fired = 0
  #busy = 0
  node = ''

  private constructor(options: TaskKillOptions, parts: {server: ServerProcess; agent: AgentProcess}) {
    this.#options = options
    this.#plan = new TaskKillPlan(options.killsPerStep)
    this.#server = parts.server
    this.#agent = parts.agent
    this.#api = new Api(parts.server)
    options.signal?.addEventListener('abort', () => {
      void this.#agent.kill9().catch(() => {})
      this.#tidy()
    })
  }

  static async open(options: TaskKillOptions): Promise<TaskKillLoop> {
    const {program, agentProgram = program, data, signal, lab} = options
    const server = await ServerProcess.start({program, data: join(data, 'server'), signal})
    const joinTokenFile = join(data, 'join-token')
    await writeFile(joinTokenFile, await createJoinToken(server, 1), {mode: 0o600})
    const at = {data: join(data, 'agent'), server: server.url, joinTokenFile}
    const agent = AgentProcess.start({program: lab?.agent ?? agentProgram, lab: lab?.folder, ...at})
    return new TaskKillLoop(options, {server, agent})
  }

  async run(): Promise<TaskKillResult> {
    const {trials, onProgress = () => {}, mostKills = Number.POSITIVE_INFINITY, longestMs} = this.#options
    const untilMs = performance.now() + (longestMs ?? Number.POSITIVE_INFINITY)
    const isEnough = () => this.#fired >= mostKills || performance.now() >= untilMs
    await this.#untilNodeAnswers()
    this.node = (await this.ok<{name: string}[]>('GET', '/nodes'))[0]?.name ?? ''
    for (const trial of trials) await trial.prepare?.(this)
    for (let round = 0; !isEnough(); round++) {
      const left = trials.filter(({name}) => !this.#plan.isDone(name))
      if (left.length === 0) break
      for (const trial of left) {
        this.#trial = trial.name
        await trial.round(this).catch(error => this.#fault(`${trial.name}: ${(error as Error).message}`))
        if (this.#faults.length >= mostFaults) return this.#result()
        if (isEnough()) break
      }
      onProgress(`round ${round + 1}, ${this.#fired} kills, ${this.#faults.length} faults`)
    }
    return this.#result()
  }

  async close(): Promise<void> {
    this.#api.close()
    await this.#agent.stop()
    await this.#server.stop()
    this.#tidy()
  }

  /** At once, since an interrupted process has no time to wait. */
  #tidy(): void {
    for (const trial of this.#options.trials) trial.tidy?.(this)
    for (const device of this.#devices) runs('losetup', '-d', device)
  }

  get agentData(): string {
    return this.#agent.data
  }

  get folder(): string | undefined {
    return this.#options.lab?.folder
  }

  async device(): Promise<string> {
    const file = join(this.#options.data, `disk-${this.#devices.length}`)
    await writeFile(file, '')
    await truncate(file, 256 * 2 ** 20)
    const device = execFileSync('losetup', ['-f', '--show', file], {encoding: 'utf8'}).trim()
    this.#devices.push(device)
    return device
  }

  async agentAgain(between: () => void): Promise<void> {
    await this.#agent.stop()
    await this.#untilNodeIs(false)
    between()
    this.#agent = this.#agent.again()
    await this.#untilNodeIs(true)
  }

  newName(): string {
    return `k${process.hrtime.bigint().toString(36)}`
  }

  async ok<T>(method: string, path: string, body?: object): Promise<T> {
    return (await this.#answered<T>(method, path, body)).body
  }

  check(holds: boolean, what: string): void {
    if (!holds) this.#fault(`not so: ${what}`)
  }

  async done(method: string, path: string, body?: object): Promise<EndedTask> {
    let ended = await this.#untilEnded(await this.#begun(method, path, body))
    // Namespaces that others on the machine made meanwhile hold its mounts for as long as they live.
    for (const untilMs = performance.now() + heldMs; isHeld(ended) && performance.now() < untilMs; ) {
      this.#busy++
      await pause(2_000)
      ended = await this.#untilEnded(await this.#begun(method, path, body))
    }
    if (ended.status === 'completed') return ended
    throw new Error(`${ended.type} failed though nobody disturbed it: ${ended.error?.message}`)
  }

  /** The first one of its kind is left alone: it tells its steps, and how long each of them takes. */
  async disturbed(method: string, path: string, body?: object): Promise<EndedTask> {
    const task = await this.#begun(method, path, body)
    const what = this.#plan.of(this.#trial, task)
    const aim = what.aim()
    const sinceMs = performance.now()
    for (;;) {
      const {status, steps, type} = await this.#task(task.id)
      if (isOver(status)) break
      const at = steps.findIndex(({state}) => state === 'running')
      what.seen(at, performance.now() - sinceMs)
      if (!aim || at < aim.step) {
        await pause(5)
        continue
      }
      if (at > aim.step) break
      await pause(Math.random() * what.lengthMs(at))
      const hit = await this.#strike(aim.victim, task.id)
      if (hit === undefined) break
      this.#fired++
      what.hit(hit.step, hit.victim)
      return this.#judged(await this.#untilEnded(task), `${type}, step ${steps[hit.step]?.name}`, hit.victim)
    }
    if (aim) what.missed(aim.step)
    return this.#untilEnded(task)
  }

  async #judged(ended: EndedTask, what: string, victim: Victim): Promise<EndedTask> {
    await this.#untilNodeAnswers()
    const {status, error} = ended
    // The task says so, and all is as it was.
    if (isHeld(ended)) this.#busy++
    const isRight =
      status === 'completed' || isHeld(ended) || (victim.startsWith('cancel') && error?.code === 'CANCELLED')
    if (!isRight) this.#fault(`${what}: it failed after ${victim}: ${error?.message}\n${await this.#logOf(ended)}`)
    return ended
  }

  /** What was hit by what; undefined when the task was over before. Over after the first of two, it was that one's. */
  async #strike(victim: Victim, id: string): Promise<{step: number; victim: Victim} | undefined> {
    const before = await this.#task(id)
    if (isOver(before.status)) return undefined
    const [first, then] = victim.split(', then ') as [Blow, Blow?]
    const isHit = await this.#blow(first, id)
    if (!isHit && first !== 'cancel') return undefined
    const step = before.steps.findIndex(({state}) => state === 'running')
    if (!then) return {step, victim}
    await pause(Math.random() * thenMs[first])
    return {step, victim: (await this.#blow(then, id)) ? victim : first}
  }

  /** Whether the task was not over then. The store of a dead server is read after its next start. */
  async #blow(blow: Blow, id: string): Promise<boolean> {
    if (isOver((await this.#task(id)).status)) return false
    if (blow === 'cancel') await this.ok('POST', `/tasks/${id}/cancel`)
    if (blow === 'agent' || blow === 'both') await this.#agent.kill9()
    if (blow === 'server' || blow === 'both') await this.#serverAgain()
    const found = await this.#task(id)
    if (blow === 'agent' || blow === 'both') this.#agent = this.#agent.again()
    return !isOver(found.status)
  }

  async #serverAgain(): Promise<void> {
    const {program, data, signal} = this.#options
    const listen = `127.0.0.1:${this.#server.port}`
    const {signal: by} = await this.#server.kill9()
    if (by !== 'SIGKILL') throw new Error('The server ended by itself.')
    this.#api.close()
    this.#server = await ServerProcess.start({program, data: join(data, 'server'), signal, listen})
    this.#api = new Api(this.#server)
  }

  async #begun(method: string, path: string, body?: object): Promise<EndedTask> {
    await this.#untilNodeAnswers()
    const {body: begun} = await this.#answered<Begun | [Begun]>(method, path, body)
    const one = Array.isArray(begun) ? begun[0] : begun
    return one.task ?? one
  }

  /** The server may not have seen yet that the link of a dead agent is gone, or it falls once more: then it is tried again. */
  async #answered<T>(method: string, path: string, body?: object): Promise<Answer<T>> {
    for (let tries = 1; ; tries++) {
      const answer = await this.#api.call<T>(method, path, {body, timeoutMs: 60_000})
      if (answer.status < 300) return answer
      const words = `${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`
      if (answer.status !== 503 || tries === 50) throw new Error(words)
      await pause(200)
      await this.#untilNodeAnswers()
    }
  }

  async #untilEnded({id}: {id: string}): Promise<EndedTask> {
    for (let look = 0; look < 1_200; look++) {
      const task = await this.#task(id)
      if (isOver(task.status)) return task
      await pause(50)
    }
    const {type, steps} = await this.#task(id)
    throw new Error(`${type} ${id} has not ended for a minute: ${JSON.stringify(steps)}\n${this.#agent.log()}`)
  }

  #task(id: string): Promise<EndedTask> {
    return this.ok<EndedTask>('GET', `/tasks/${id}`)
  }

  async #logOf({id}: EndedTask): Promise<string> {
    const lines = await this.ok<{at: string; text: string}[]>('GET', `/tasks/${id}/logs`)
    return lines.map(({at, text}) => `  ${at} ${text}`).join('\n')
  }

  #untilNodeAnswers(): Promise<void> {
    return this.#untilNodeIs(true)
  }

  async #untilNodeIs(wanted: boolean): Promise<void> {
    for (let look = 0; look < 1_200; look++) {
      const nodes = await this.#api.ok<{name: string; connected: boolean}[]>('GET', '/nodes')
      const node = this.node ? nodes.find(({name}) => name === this.node) : nodes[0]
      if (node?.connected === wanted) return
      await pause(50)
    }
    throw new Error(`The node was not ${wanted ? 'back' : 'gone'} after a minute.\n${this.#agent.log()}`)
  }

  #fault(text: string): void {
    this.#faults.push(text)
    this.#options.onProgress?.(`FAULT ${text}`)
  }

  #result(): TaskKillResult {
    return {fired: this.#fired, busy: this.#busy, plan: this.#plan, faults: this.#faults}
  }
}

function isOver(status: string): boolean {
  return status === 'completed' || status === 'failed'
}

function isHeld({error}: EndedTask): boolean {
  return error?.code === 'STORAGE_IN_USE' || error?.code === 'STORAGE_NEEDED'
}
