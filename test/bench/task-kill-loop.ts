import {execFileSync} from 'node:child_process'
import {truncate, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as pause} from 'node:timers/promises'
import type {PoolType} from '../../src/contract/storage-protocol.ts'
import {runs} from '../support/zfs-daemon.ts'
import {AgentProcess} from './agent-process.ts'
import {Api} from './api.ts'
import {createJoinToken} from './fleet.ts'
import {ServerProcess} from './server-process.ts'

export interface TaskKillOptions {
  program: string
  /** An empty folder. */
  data: string
  kills: number
  /** Kinds of pools that are made and destroyed in turn; programs of each must be here. */
  types: readonly PoolType[]
  signal?: AbortSignal
  onProgress?: (text: string) => void
}

export interface TaskKillResult {
  /** Kills that hit a task which had begun and had not ended. */
  fired: number
  /** Of those, by `task type: victim`. */
  hits: Record<string, number>
  /** How the tasks that were hit ended. */
  ended: Record<string, number>
  faults: string[]
}

interface Task {
  id: string
  status: string
  error: {message: string} | null
}

const victims = ['agent', 'server', 'both', 'cancel'] as const
type Victim = (typeof victims)[number]

/**
 * F18, M24: pools are made and destroyed, and at a random moment of each task the agent, the server or both are killed,
 * or the task is cancelled. What is there at its end is whole or nothing, by the words of the storage itself.
 */
export async function taskKillLoop(options: TaskKillOptions): Promise<TaskKillResult> {
  const loop = await TaskKillLoop.open(options)
  try {
    return await loop.run()
  } finally {
    await loop.close()
  }
}

class TaskKillLoop {
  readonly #options: TaskKillOptions
  readonly #device: string
  readonly #result: TaskKillResult = {fired: 0, hits: {}, ended: {}, faults: []}
  readonly #names: string[] = []
  #server: ServerProcess
  #agent: AgentProcess
  #api: Api
  /** How long a task takes that nobody disturbs, by its type. */
  readonly #lengths = new Map<string, number>()

  private constructor(options: TaskKillOptions, parts: {device: string; server: ServerProcess; agent: AgentProcess}) {
    this.#options = options
    this.#device = parts.device
    this.#server = parts.server
    this.#agent = parts.agent
    this.#api = new Api(parts.server)
  }

  static async open(options: TaskKillOptions): Promise<TaskKillLoop> {
    const {program, data, signal} = options
    const server = await ServerProcess.start({program, data: join(data, 'server'), signal})
    const file = join(data, 'disk')
    await writeFile(file, '')
    await truncate(file, 256 * 2 ** 20)
    const device = execFileSync('losetup', ['-f', '--show', file], {encoding: 'utf8'}).trim()
    const joinTokenFile = join(data, 'join-token')
    await writeFile(joinTokenFile, await createJoinToken(server, 1), {mode: 0o600})
    const agent = AgentProcess.start({program, data: join(data, 'agent'), server: server.url, joinTokenFile})
    return new TaskKillLoop(options, {device, server, agent})
  }

  async run(): Promise<TaskKillResult> {
    const {kills, types, onProgress = () => {}} = this.#options
    await this.#untilNodeAnswers()
    for (const type of types) await this.#round(type, undefined)
    for (let round = 0; this.#result.fired < kills && round < kills * 4 && this.#result.faults.length === 0; round++) {
      const type = types[round % types.length] as PoolType
      await this.#round(type, victims[Math.floor(round / types.length) % victims.length])
      if (round % 5 === 4) onProgress(`${this.#result.fired} of ${kills} kills`)
    }
    return this.#result
  }

  async close(): Promise<void> {
    this.#api.close()
    await this.#agent.stop()
    await this.#server.stop()
    for (const name of this.#names) {
      runs('zpool', 'destroy', '-f', name)
      runs('umount', '-l', `/srv/gpuctl/${name}`)
    }
    runs('losetup', '-d', this.#device)
  }

  /** Makes a pool and destroys it, each disturbed once. */
  async #round(type: PoolType, victim: Victim | undefined): Promise<void> {
    const name = `k${Date.now().toString(36)}`
    this.#names.push(name)
    const nodes = await this.#api.ok<{name: string}[]>('GET', '/nodes')
    const device = type === 'directory' ? {} : {device: this.#device}
    const body = {name, node: nodes[0]?.name, type, ...device, force: true}
    const made = await this.#disturbed(`pool.create ${type}`, victim, 'POST', '/storage/pools', body)
    const isMade = await this.#look(name, type, made)
    if (!isMade) return
    const gone = await this.#disturbed(
      `pool.delete ${type}`,
      victim,
      'DELETE',
      `/storage/pools/${name}?confirm=${name}`,
    )
    if (await this.#look(name, type, gone)) {
      // It failed, and left the pool whole: nobody disturbs the second try.
      await this.#disturbed(`pool.delete ${type}`, undefined, 'DELETE', `/storage/pools/${name}?confirm=${name}`)
      if (await this.#look(name, type, gone)) this.#fault(`${name} could not be destroyed.`)
    }
  }

  async #disturbed(
    what: string,
    victim: Victim | undefined,
    method: string,
    path: string,
    body?: object,
  ): Promise<Task> {
    const since = performance.now()
    const {task} = await this.#api.ok<{task: Task}>(method, path, {body, timeoutMs: 30_000})
    if (victim) {
      await pause(Math.random() * (this.#lengths.get(what) ?? 300))
      if (await this.#strike(victim, task.id)) {
        this.#result.fired++
        count(this.#result.hits, `${what}: ${victim}`)
        const ended = await this.#untilEnded(task.id)
        count(this.#result.ended, `${what}: ${ended.status}`)
        return ended
      }
    }
    const ended = await this.#untilEnded(task.id)
    if (!victim) this.#lengths.set(what, performance.now() - since)
    return ended
  }

  /** Whether the task was under way when it was hit: the store of a dead server is read after its next start. */
  async #strike(victim: Victim, id: string): Promise<boolean> {
    const {status} = await this.#task(id)
    if (isOver(status)) return false
    if (victim === 'cancel') {
      const {status: then} = await this.#api.ok<Task>('POST', `/tasks/${id}/cancel`)
      return !isOver(then)
    }
    const {program, data, signal} = this.#options
    if (victim !== 'server') await this.#agent.kill9()
    if (victim !== 'agent') {
      const listen = `127.0.0.1:${this.#server.port}`
      const {signal: by} = await this.#server.kill9()
      if (by !== 'SIGKILL') throw new Error('The server ended by itself.')
      this.#api.close()
      this.#server = await ServerProcess.start({program, data: join(data, 'server'), signal, listen})
      this.#api = new Api(this.#server)
    }
    const found = await this.#task(id)
    if (victim !== 'server') this.#agent = this.#agent.again()
    return !isOver(found.status)
  }

  /** What the storage itself says. Whether the pool is there; everything else than whole or nothing is a fault. */
  async #look(name: string, type: PoolType, task: Task): Promise<boolean> {
    const where = `${name} (${type}), task ${task.status} ${task.error?.message ?? ''}`
    await this.#untilNodeAnswers()
    const listed = await this.#api.ok<{name: string; status: string}[]>('GET', '/storage/pools')
    const known = listed.find(pool => pool.name === name)
    const isThere = isOnDisk(name, type, this.#agent.data, this.#device)
    if (known && known.status !== 'online') this.#fault(`the server shows it as ${known.status}: ${where}`)
    if (Boolean(known) !== isThere) this.#fault(`known ${Boolean(known)}, on the disk ${isThere}: ${where}`)
    if (!isThere && type !== 'directory' && runs('blkid', '-p', this.#device))
      this.#fault(`remains on the disk: ${where}`)
    return isThere
  }

  async #untilEnded(id: string): Promise<Task> {
    for (let look = 0; look < 600; look++) {
      const task = await this.#task(id)
      if (isOver(task.status)) return task
      await pause(100)
    }
    throw new Error(`Task ${id} has not ended for a minute.\n${this.#agent.log()}`)
  }

  #task(id: string): Promise<Task> {
    return this.#api.ok<Task>('GET', `/tasks/${id}`)
  }

  async #untilNodeAnswers(): Promise<void> {
    for (let look = 0; look < 600; look++) {
      const nodes = await this.#api.ok<{connected: boolean}[]>('GET', '/nodes')
      if (nodes[0]?.connected) return
      await pause(100)
    }
    throw new Error(`The node has not come back for a minute.\n${this.#agent.log()}`)
  }

  #fault(text: string): void {
    this.#result.faults.push(text)
  }
}

function isOver(status: string): boolean {
  return status === 'completed' || status === 'failed'
}

function isOnDisk(name: string, type: PoolType, data: string, device: string): boolean {
  if (type === 'zfs') return runs('zpool', 'list', name)
  if (type === 'directory') return runs('find', join(data, 'agent', 'storage', 'pools', name), '-maxdepth', '0')
  try {
    return execFileSync('blkid', ['-p', '-o', 'export', device], {encoding: 'utf8'}).includes(`:${name}:`)
  } catch {
    return false
  }
}

function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1
}
