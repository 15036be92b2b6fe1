import type {InputOf} from '../../contract/contract.ts'
import {type ControlMessage, FrameReader, frameKind} from '../../contract/frames.ts'
import type {Instance, InstanceStats, LogEnd, LogEvent} from '../../contract/schemas/instances.ts'
import {allocationId} from '../allocation.ts'
import type {Caller} from '../caller.ts'
import {isFinal} from '../claim.ts'
import {problem} from '../errors.ts'
import {gpusOf} from '../node.ts'
import type {AgentPort, ExecStream, LogQuery} from '../ports.ts'
import type {OpenSession} from '../session.ts'
import {shellCommand} from '../shell.ts'
import {trackedExec} from '../tracked-exec.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services, ShellInput} from './services.ts'

type LogInput = InputOf<'instances.logs'>
type LogItem = {id: string; event: 'log'; data: LogEvent} | {id: string; event: 'end'; data: LogEnd}

/** What flows out of an instance and into it. Whoever may see the instance may see its streams. */
export class InstanceStreams {
  readonly #deps: ServiceDependencies
  readonly #sessions: Pick<Services['sessions'], 'open'>
  readonly #get: (reference: string, caller: Caller) => Promise<Instance>

  constructor(
    deps: ServiceDependencies,
    sessions: Pick<Services['sessions'], 'open'>,
    get: (reference: string, caller: Caller) => Promise<Instance>,
  ) {
    this.#deps = deps
    this.#sessions = sessions
    this.#get = get
  }

  async openLogs(input: LogInput, caller: Caller, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const instance = await this.#get(input.id, caller)
    const {agent, containerId} = this.container(instance)
    return agent.logs(containerId, this.#query(input, false), signal)
  }

  /**
   * Waits for the start, follows over restarts of the workload, and ends with it. The id of an event is the time of its
   * last line and how many lines of that very time were sent: what a client has is not sent again. What can be refused
   * is refused before the first item.
   */
  async followLogs(
    input: LogInput,
    after: string | undefined,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<LogItem>> {
    const found = await this.#get(input.id, caller)
    this.#query(input, true)
    return this.#follow(found, input, after, caller, signal)
  }

  async *#follow(
    found: Instance,
    input: LogInput,
    after: string | undefined,
    caller: Caller,
    signal: AbortSignal,
  ): AsyncGenerator<LogItem> {
    const changes = new Changes(this.#deps, found, signal)
    try {
      const place = new Place(after)
      let isFirst = after === undefined
      for (;;) {
        const instance = await this.#get(found.id, caller)
        const hasContainer = this.#containerId(instance) !== '' && this.#deps.fleet.connected(instance.nodeId)
        const isOver = await this.#isOver(instance)
        if (hasContainer) {
          const query = this.#query(isFirst ? input : {...input, tail: undefined, since: undefined}, !isOver)
          if (place.sinceNs !== undefined) query.sinceNs = place.sinceNs
          isFirst = false
          yield* this.#read(instance, query, place, input.timestamps === true, signal)
        }
        signal.throwIfAborted()
        if (
          isOver &&
          (hasContainer || !this.#deps.fleet.connected(instance.nodeId) || this.#containerId(instance) === '')
        ) {
          const {status, exitCode, reason} = await this.#get(found.id, caller)
          yield {id: place.id, event: 'end', data: {status, exitCode, reason}}
          return
        }
        await changes.next(isOver ? 0 : hasContainer ? 1_000 : 5_000)
      }
    } finally {
      changes.close()
    }
  }

  async openStats(reference: string, caller: Caller, signal: AbortSignal): Promise<AsyncIterable<InstanceStats>> {
    const instance = await this.#get(reference, caller)
    const {agent, containerId} = this.container(instance)
    const readings = await agent.stats(containerId, signal)
    return this.#stats(instance, readings)
  }

  /** A session of its own unless it is part of one. */
  async openExec(input: InputOf<'instances.exec'>, caller: Caller, session?: OpenSession): Promise<ExecStream> {
    const instance = await this.#get(input.id, caller)
    if (instance.status !== 'running')
      throw problem('instance_not_running', {name: instance.name, status: instance.status})
    const {agent, containerId} = this.container(instance)
    const {command, tty = false, stdin = false, user, workingDir, rows, columns, env = []} = input
    const pairs = env.map(pair => [pair.split('=')[0] ?? '', pair.slice(pair.indexOf('=') + 1)])
    const query = {command, tty, stdin, user, workingDir, rows, columns, env: Object.fromEntries(pairs)}
    const program = command[0] ?? ''
    if (!session) {
      const start = {kind: tty ? ('terminal' as const) : ('exec' as const), caller, instance, program}
      return trackedExec(start, this.#sessions.open, () => agent.exec(containerId, query))
    }
    const names = {name: instance.name, program, session: session.id}
    await this.#deps.journal.change((_, record) => record.audit(caller, 'instances.exec', instance.id, names))
    return agent.exec(containerId, query)
  }

  async *#stats(instance: Instance, readings: AsyncIterable<Record<string, unknown>>): AsyncGenerator<InstanceStats> {
    const {memory, store} = this.#deps
    const node = await store.nodes.find(instance.nodeId)
    const number = (reading: Record<string, unknown>, name: string) =>
      typeof reading[name] === 'number' ? (reading[name] as number) : null
    for await (const reading of readings) {
      const gpus = node ? gpusOf(node, memory).filter(gpu => instance.gpus.some(({uuid}) => uuid === gpu.uuid)) : []
      yield {
        id: instance.id,
        name: instance.name,
        at: typeof reading.at === 'string' ? reading.at : new Date(this.#deps.clock.now()).toISOString(),
        cpuPercent: number(reading, 'cpuPercent'),
        cpuPercentRaw: number(reading, 'cpuPercentRaw'),
        memoryUsageBytes: number(reading, 'memoryUsageBytes'),
        memoryLimitBytes: number(reading, 'memoryLimitBytes'),
        memoryPercent: number(reading, 'memoryPercent'),
        networkRxBytes: number(reading, 'networkRxBytes'),
        networkTxBytes: number(reading, 'networkTxBytes'),
        blockReadBytes: number(reading, 'blockReadBytes'),
        blockWriteBytes: number(reading, 'blockWriteBytes'),
        pids: number(reading, 'pids'),
        gpus: gpus.map(({index, uuid, utilizationPercent, memoryUsedMiB, memoryMiB, simulated}) => {
          const share = instance.gpus.find(held => held.uuid === uuid)?.share
          // What others do on a card that is shared is not this instance's, and cannot be told apart from here.
          const used = share ? {utilizationPercent: null, memoryUsedMiB: null} : {utilizationPercent, memoryUsedMiB}
          return {index, ...used, memoryMiB: share?.memoryMiB ?? memoryMiB, simulated}
        }),
      }
    }
  }

  async *#read(
    instance: Instance,
    query: LogQuery,
    place: Place,
    keepsTimes: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<LogItem> {
    const {agent, containerId} = this.container(instance)
    const reader = new FrameReader()
    place.again()
    for await (const bytes of await agent.logs(containerId, {...query, timestamps: true}, signal)) {
      for (const {kind, payload} of reader.read(bytes)) {
        if (kind === frameKind.control) {
          const {error} = JSON.parse(new TextDecoder().decode(payload)) as ControlMessage
          if (error) throw problem('node_failed', {name: instance.node, reason: error.message})
          continue
        }
        const text = place.pass(new TextDecoder().decode(payload), keepsTimes)
        if (text === '') continue
        yield {id: place.id, event: 'log', data: {stream: kind === frameKind.stderr ? 'stderr' : 'stdout', text}}
      }
    }
  }

  /** The workload has ended, and nobody will start it again. */
  async #isOver({claimId}: Instance): Promise<boolean> {
    const claim = await this.#deps.store.claims.find(claimId)
    return !claim || isFinal(claim.status.phase)
  }

  /** Throws instance_not_running, instance_finished, node_offline. */
  container(instance: Instance): {agent: AgentPort; containerId: string} {
    const {name, status, nodeId, desired} = instance
    const containerId = this.#containerId(instance)
    if (desired === 'deleted' && status === 'exited') throw problem('instance_finished', {name, status: 'deleted'})
    if (containerId === '') throw problem('instance_not_running', {name, status})
    return {agent: this.#deps.fleet.agent(nodeId), containerId}
  }

  #containerId({containerId, claimId, epoch}: Instance): string {
    const {memory, secrets} = this.#deps
    return containerId || memory.report(allocationId(claimId, epoch, secrets))?.containerId || ''
  }

  #query(input: LogInput, follow: boolean): LogQuery {
    const {tail, since, until, previous, timestamps = false, stdout = true, stderr = true} = input
    const nowMs = this.#deps.clock.now()
    const query: LogQuery = {follow, timestamps, stdout, stderr}
    if (tail !== undefined) query.tail = tail
    if (since !== undefined) query.sinceNs = readMoment(since, nowMs, 'since')
    if (until !== undefined) query.untilNs = readMoment(until, nowMs, 'until')
    if (previous) query.previous = true
    return query
  }
}

/** A shell as a command. Throws input_invalid. */
export function shellExec({shell, command, term, env = [], ...input}: ShellInput): InputOf<'instances.exec'> {
  const {tty = command === undefined, rows = 0, columns = 0} = input
  const size = tty ? {rows, columns} : undefined
  const kind = tty ? [`TERM=${term || 'xterm-256color'}`] : []
  return {...input, command: shellCommand({shell, size, command}), tty, stdin: true, env: [...env, ...kind]}
}

/** Up to where a client has the log. */
class Place {
  #time = ''
  #linesOfTime = 0
  #skip = 0

  constructor(after: string | undefined) {
    const [time = '', lines = '0'] = (after ?? '').split('/')
    if (!/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time)) return
    this.#time = time
    this.#linesOfTime = Number.parseInt(lines, 10) || 0
  }

  get id(): string {
    return this.#time === '' ? '0' : `${this.#time}/${this.#linesOfTime}`
  }

  get sinceNs(): bigint | undefined {
    return this.#time === '' ? undefined : nanoseconds(this.#time)
  }

  /** A new look at the log: the lines of the last time come once more. */
  again(): void {
    this.#skip = this.#linesOfTime
  }

  /** The lines that the client does not have yet, with or without their times. */
  pass(text: string, keepsTimes: boolean): string {
    let fresh = ''
    for (const line of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
      const time = /^(\d{4}-\d\d-\d\dT[\d:.]+Z) /.exec(line)?.[1]
      if (time !== undefined && time < this.#time) {
        if (this.#skip > 0) continue
      } else if (time === this.#time) {
        if (this.#skip > 0) {
          this.#skip--
          continue
        }
        this.#linesOfTime++
      } else if (time !== undefined) {
        this.#skip = 0
        this.#time = time
        this.#linesOfTime = 1
      }
      fresh += keepsTimes || time === undefined ? line : line.slice(time.length + 1)
    }
    return fresh
  }
}

/** Wakes when something happens to the instance or its claim. */
class Changes {
  readonly #unsubscribe: () => void
  #hasChanged = false
  #wake: (() => void) | undefined

  constructor({journal}: ServiceDependencies, {id, claimId}: Instance, signal: AbortSignal) {
    this.#unsubscribe = journal.subscribe(({objectId}) => {
      if (objectId === id || objectId === claimId) this.#ring()
    })
    signal.addEventListener('abort', () => this.#ring(), {once: true})
  }

  /** Resolves at the next change, or after so long: what no event tells is looked at again. */
  async next(afterMs: number): Promise<void> {
    if (!this.#hasChanged) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, afterMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#hasChanged = false
  }

  close(): void {
    this.#unsubscribe()
  }

  #ring(): void {
    this.#hasChanged = true
    this.#wake?.()
  }
}

/** RFC 3339 to nanoseconds, or a time before now as `90s`, `10m`, `2h`, `1d`. Throws input_invalid. */
export function readMoment(text: string, nowMs: number, field: string): bigint {
  const before = /^(\d{1,9})(s|m|h|d)$/.exec(text)
  if (before) {
    const seconds = Number(before[1]) * {s: 1, m: 60, h: 3600, d: 86_400}[before[2] as 's' | 'm' | 'h' | 'd']
    return BigInt(Math.max(0, Math.floor(nowMs - seconds * 1000))) * 1_000_000n
  }
  if (!Number.isNaN(Date.parse(text))) return nanoseconds(text)
  throw problem('input_invalid', {field, problem: `${text} is not a time.`, fix: 'Give RFC 3339, or 30s, 10m, 2h.'})
}

function nanoseconds(time: string): bigint {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? ''
  const wholeMs = Date.parse(time.replace(/\.\d+/, ''))
  return BigInt(wholeMs) * 1_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9))
}
