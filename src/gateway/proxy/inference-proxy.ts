import {isProblem, problem} from '../../domain/errors.ts'
import {
  type Inference,
  type InferenceAnswer,
  type InferenceRequest,
  type ModelName,
  parseModelName,
} from '../../domain/inference.ts'
import type {Clock} from '../../domain/ports.ts'
import type {Services} from '../../domain/services/services.ts'
import {ProxyFigures} from './figures.ts'
import {KeyLimits} from './key-limits.ts'
import {choose} from './ranking.ts'
import {RuntimeLoads} from './runtime-loads.ts'
import {Upstream, type UpstreamAnswer, UpstreamFailure} from './upstream.ts'
import {WaitingLine} from './waiting-line.ts'

export interface ProxySettings {
  /** Requests that may wait, and for how long. */
  queueMost: number
  queueWaitMs: number
  /** Requests at once of one user or key that has no bound of its own. */
  requestsPerKey: number
  connectMs: number
  /** From the sending to the head of the answer. */
  headMs: number
  /** Longest silence within an answer. */
  silenceMs: number
  /** Longest time in which a caller takes nothing of what is there; his place is another's then. */
  unreadMs: number
}

const defaultProxySettings: ProxySettings = {
  queueMost: 100,
  queueWaitMs: 60_000,
  requestsPerKey: 64,
  connectMs: 2_000,
  headMs: 60_000,
  silenceMs: 60_000,
  unreadMs: 60_000,
}

type Runtimes = Pick<Services['runtimes'], 'targets' | 'knownModels' | 'exclude' | 'began' | 'waits'>
type Target = Awaited<ReturnType<Runtimes['targets']>>[number]

export interface ProxyOptions {
  runtimes: Runtimes
  clock: Clock
  /** Asked at every dial (security T6). */
  mayDial: (address: string, port: number) => boolean
  /** Requests at once at one runtime; more wait. Asked at each choice. */
  requestsPerRuntime: () => number
  settings?: Partial<ProxySettings>
}

/** A place at a runtime. */
interface Turn {
  target: Target
  /** Gives the place back; again does nothing. */
  end: () => void
}

/** The way of a request to a runtime: bounds, choice, queue, one failover, and the answer as it comes (wire.md 1.6). */
export class InferenceProxy implements Inference {
  readonly figures: ProxyFigures
  readonly #runtimes: Runtimes
  readonly #settings: ProxySettings
  readonly #requestsPerRuntime: () => number
  readonly #clock: Clock
  readonly #upstream: Upstream
  readonly #limits: KeyLimits
  readonly #loads = new RuntimeLoads()
  readonly #line: WaitingLine<Turn, Target[]>

  constructor({runtimes, clock, mayDial, requestsPerRuntime, ...options}: ProxyOptions) {
    const settings = {...defaultProxySettings, ...options.settings}
    this.#runtimes = runtimes
    this.#settings = settings
    this.#requestsPerRuntime = requestsPerRuntime
    this.#clock = clock
    this.#upstream = new Upstream({connections: mostConnections, times: settings, mayDial})
    this.#limits = new KeyLimits({concurrency: settings.requestsPerKey})
    this.#line = new WaitingLine({
      most: settings.queueMost,
      retryAfterSeconds: settings.queueWaitMs / 1000,
      read: () => runtimes.targets(),
    })
    this.figures = new ProxyFigures({inFlight: () => this.#loads.inFlight, queued: () => this.#line.length})
  }

  async call(request: InferenceRequest): Promise<InferenceAnswer> {
    const name = parseModelName(request.model)
    const leave = this.#limits.enter(request.caller, this.#clock.now())
    try {
      const answer = await this.#answer(name, request)
      answer.body.once('close', leave)
      return answer
    } catch (error) {
      leave()
      this.figures.over(undefined, isProblem(error) ? error.code : 'aborted')
      throw error
    }
  }

  /** Ends the calls that are under way. */
  close(): Promise<void> {
    return this.#upstream.close()
  }

  async #answer(name: ModelName, request: InferenceRequest): Promise<InferenceAnswer> {
    const since = this.#clock.now()
    const tried = new Set<string>()
    let queuedMs: number | undefined
    for (;;) {
      const {turn, wanted, queued} = await this.#takeTurn(name, tried, since, request.signal)
      if (queued) queuedMs = this.#clock.now() - since
      try {
        const {status, headers, body} = await this.#send(turn, wanted, request)
        return {status, headers: aboutBody(headers), body, queuedMs}
      } catch (error) {
        if (!(error instanceof UpstreamFailure)) throw error
        const {id} = turn.target
        if (error.how === 'unreachable' || error.how === 'garbled') this.#runtimes.exclude(id, wanted)
        tried.add(id)
        // Who waited so long for one that is silent is not sent to another.
        if (error.how === 'silent') throw problem('runtime_silent', {seconds: this.#settings.headMs / 1000})
        const isLast = tried.size > 1 || !(await this.#hasAnother(wanted, tried))
        if (isLast) throw problem('runtime_failed', {model: wanted}, {cause: error})
      }
    }
  }

  /** A place at a runtime that holds the model, after waiting for it where all are taken. */
  async #takeTurn(name: ModelName, tried: ReadonlySet<string>, since: number, signal: AbortSignal) {
    if (this.#line.length > 0) await this.#line.look()
    const targets = await this.#runtimes.targets()
    const wanted = targets.some(({models}) => models.includes(name.full)) ? name.full : name.base
    if (holding(targets, wanted, tried).length === 0) throw await this.#nobodyHolds(name)
    const attempt = (open: readonly Target[]) => this.#tryTurn(holding(open, wanted, tried), wanted)
    const turn = attempt(targets)
    if (turn) return {turn, wanted, queued: false}
    const seconds = this.#settings.queueWaitMs / 1000
    const waitMs = Math.max(0, since + this.#settings.queueWaitMs - this.#clock.now())
    const tooLate = () => problem('queue_timeout', {model: wanted, seconds})
    const waited = this.#runtimes.waits()
    try {
      return {turn: await this.#line.wait(attempt, {signal, waitMs, tooLate}), wanted, queued: true}
    } finally {
      waited()
    }
  }

  /** Undefined: all are taken. Throws model_unavailable when there is none any more. */
  #tryTurn(candidates: readonly Target[], model: string): Turn | undefined {
    if (candidates.length === 0) throw problem('model_unavailable', {model, seconds: retryAfterSeconds})
    const nowMs = this.#clock.now()
    const loadOf = ({id}: Target) => this.#loads.of(id, nowMs)
    const most = this.#requestsPerRuntime()
    const free = candidates.filter(target => loadOf(target).inFlight < most)
    const target = choose(free, loadOf)
    if (!target) return undefined
    const leave = this.#loads.begin(target.id)
    const end = () => {
      leave()
      if (this.#line.length > 0) void this.#line.look()
    }
    return {target, end}
  }

  async #nobodyHolds({full, base}: ModelName): Promise<Error> {
    const known = await this.#runtimes.knownModels()
    const isKnown = known.some(({id}) => id === full || id === base)
    if (isKnown) return problem('model_unavailable', {model: full, seconds: retryAfterSeconds})
    return problem('model_unknown', {model: full.slice(0, 128)})
  }

  async #hasAnother(model: string, tried: ReadonlySet<string>): Promise<boolean> {
    return holding(await this.#runtimes.targets(), model, tried).length > 0
  }

  /** Its place is given back when the answer's body is over, or when there is none. */
  async #send({target, end}: Turn, model: string, request: InferenceRequest): Promise<UpstreamAnswer> {
    const {path, contentType, accept, body, signal, caller} = request
    const over = this.#runtimes.began(target.id)
    const since = performance.now()
    const passed = () => performance.now() - since
    const settle = (isSuccess: boolean, outcome: string) => {
      end()
      over({isSuccess, durationMs: passed()})
      if (isSuccess) this.figures.over(model, outcome)
    }
    try {
      signal.throwIfAborted()
      const answer = await this.#upstream.send({
        ...{address: target.address, port: target.apiPort, path, body, signal},
        headers: {
          'content-type': contentType,
          'x-request-id': caller.requestId,
          'accept-encoding': 'identity',
          ...(accept === undefined ? {} : {accept}),
        },
        onFirstByte: () => {
          this.figures.firstByte(passed())
          this.#loads.measured(target.id, passed(), this.#clock.now())
        },
      })
      const {status} = answer
      answer.body.once('close', () => settle(status < 300 && answer.body.readableEnded, String(status)))
      return answer
    } catch (error) {
      settle(false, '')
      throw error
    }
  }
}

/** To one runtime; as many as it may be sent requests at once. */
const mostConnections = 256
/** Where nothing says when a runtime will be there. */
const retryAfterSeconds = 5

function holding(targets: readonly Target[], model: string, tried: ReadonlySet<string>): Target[] {
  return targets.filter(({id, models}) => models.includes(model) && !tried.has(id))
}

/** Headers of an answer that the caller gets. All others stay here: cookies, the server's name, how the connection is kept. */
const passedOn = ['content-type', 'content-length', 'content-encoding', 'content-disposition', 'content-language']

function aboutBody(headers: UpstreamAnswer['headers']): Record<string, string> {
  return Object.fromEntries(
    passedOn.flatMap(name => {
      const value = headers[name]
      return typeof value === 'string' ? [[name, value]] : []
    }),
  )
}
