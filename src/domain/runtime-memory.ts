import type {Runtime} from '../contract/schemas/runtimes.ts'
import type {Clock} from './ports.ts'
import {isReady, type RuntimeBeat, type RuntimeLoad, type RuntimeState, runtimeTimers} from './runtimes.ts'

/** What came of a request that the proxy sent to a runtime. */
export interface RequestOutcome {
  isSuccess: boolean
  durationMs: number
}

interface Known {
  state: RuntimeState
  /** As seenAt, moved so that the time in which the server was away does not count (reliability F8). */
  aliveAtMs: number
  /** Newest last, at most `mostReadings`. */
  readings: RuntimeLoad[]
}

interface Counts {
  active: number
  succeeded: number
  failed: number
  sumMs: number
}

const mostReadings = 360
const historyMinutes = 60
const nothingLoaded = {chat: [], embedding: [], asr: [], tts: []}

/** What the server knows of the runtimes at this moment: their beats, and what the proxy asked of them. */
export class RuntimeMemory {
  readonly #clock: Clock
  readonly #known = new Map<string, Known>()
  readonly #counts = new Map<string, Counts>()
  readonly #unsaved = new Set<string>()
  #waiting = 0
  /** Minute since 1970 → requests that ended in it. */
  readonly #minutes = new Map<number, {succeeded: number; failed: number}>()

  constructor({clock}: {clock: Clock}) {
    this.#clock = clock
  }

  /** States of the time before the start: who was online then has a whole further minute to be heard again. */
  restore(states: readonly {runtimeId: string; state: RuntimeState}[]): void {
    const startMs = this.#clock.now()
    const lastMs = states.reduce((last, {state}) => Math.max(last, Date.parse(state.seenAt)), 0)
    for (const {runtimeId, state} of states) {
      const behindMs = lastMs - Date.parse(state.seenAt)
      const graceMs = behindMs <= runtimeTimers.onlineForMs ? runtimeTimers.onlineForMs : 0
      this.#known.set(runtimeId, {state, aliveAtMs: startMs - behindMs + graceMs, readings: []})
    }
  }

  /** A registration is a sign of life, and all that was known before is over. */
  registered(id: string, readiness: Pick<RuntimeState, 'initializing' | 'ready'>): void {
    const state: RuntimeState = {
      seenAt: this.#now(),
      load: null,
      loaded: nothingLoaded,
      supportedRuntimes: [],
      initializing: readiness.initializing,
      ready: readiness.ready,
      sync: null,
      onlineSince: null,
      excludedModels: [],
      isDisconnected: false,
    }
    this.#known.set(id, {state, aliveAtMs: this.#clock.now(), readings: []})
    this.#unsaved.add(id)
  }

  beat(id: string, beat: RuntimeBeat): void {
    const known = this.#known.get(id)
    if (!known) return
    const at = this.#now()
    const {state} = known
    const wasAway = this.ageMs(id)! > runtimeTimers.onlineForMs
    const load = {...beat.load, at}
    const initializing = beat.initializing
    const ready = beat.ready ?? (initializing ? null : state.ready)
    const isBack = wasAway || (isReady({initializing, ready}) && !isReady(state))
    const pick = (told: string[] | undefined, before: string[]) => (told && told.length > 0 ? told : before)
    const {chat, embedding, asr, tts} = beat.loaded
    known.state = {
      ...state,
      seenAt: at,
      load,
      loaded: {
        chat: pick(chat, state.loaded.chat),
        embedding: pick(embedding, state.loaded.embedding),
        asr: pick(asr, state.loaded.asr),
        tts: pick(tts, state.loaded.tts),
      },
      supportedRuntimes: pick(beat.supportedRuntimes, state.supportedRuntimes),
      ...{initializing, ready},
      sync: beat.sync ? {...beat.sync, at} : state.sync,
      onlineSince: wasAway ? null : state.onlineSince,
      excludedModels: isBack ? [] : state.excludedModels,
      isDisconnected: false,
    }
    known.aliveAtMs = this.#clock.now()
    known.readings.push(load)
    if (known.readings.length > mostReadings) known.readings.shift()
    this.#unsaved.add(id)
  }

  state(id: string): RuntimeState | undefined {
    return this.#known.get(id)?.state
  }

  /** Age of the last sign of life. */
  ageMs(id: string): number | undefined {
    const known = this.#known.get(id)
    if (!known) return undefined
    return known.state.isDisconnected ? Number.POSITIVE_INFINITY : this.#clock.now() - known.aliveAtMs
  }

  /** Oldest first. */
  readings(id: string): readonly RuntimeLoad[] {
    return this.#known.get(id)?.readings ?? []
  }

  noteOnline(id: string, isOnline: boolean): void {
    const known = this.#known.get(id)
    if (!known || isOnline === (known.state.onlineSince !== null)) return
    known.state = {...known.state, onlineSince: isOnline ? this.#now() : null}
    this.#unsaved.add(id)
  }

  disconnect(id: string): void {
    const known = this.#known.get(id)
    if (!known) return
    known.state = {...known.state, isDisconnected: true, onlineSince: null}
    this.#unsaved.add(id)
  }

  /** Until the runtime registers again, or was away or not ready and came back. */
  exclude(id: string, model: string): void {
    const known = this.#known.get(id)
    if (!known || known.state.excludedModels.includes(model)) return
    known.state = {...known.state, excludedModels: [...known.state.excludedModels, model]}
    this.#unsaved.add(id)
  }

  /** Counts a request that is sent to the runtime. Call the answer with what came of it; a second call counts no more. */
  began(id: string): (outcome: RequestOutcome) => void {
    const counts = this.#countsOf(id)
    counts.active += 1
    let isOver = false
    return outcome => {
      if (isOver) return
      isOver = true
      counts.active -= 1
      counts.sumMs += outcome.durationMs
      counts[outcome.isSuccess ? 'succeeded' : 'failed'] += 1
      const minute = this.#minute()
      const bucket = this.#minutes.get(minute) ?? {succeeded: 0, failed: 0}
      bucket[outcome.isSuccess ? 'succeeded' : 'failed'] += 1
      this.#minutes.set(minute, bucket)
      for (const known of this.#minutes.keys()) if (known <= minute - historyMinutes) this.#minutes.delete(known)
    }
  }

  waits(): () => void {
    this.#waiting += 1
    let isOver = false
    return () => {
      if (!isOver) this.#waiting -= 1
      isOver = true
    }
  }

  get waiting(): number {
    return this.#waiting
  }

  requests(id: string): Runtime['requests'] {
    const {active = 0, succeeded = 0, failed = 0, sumMs = 0} = this.#counts.get(id) ?? {}
    const total = succeeded + failed
    return {active, total, succeeded, failed, averageMs: total > 0 ? sumMs / total : null}
  }

  /** The last 60 minutes, oldest first. */
  history(): {minute: string; succeeded: number; failed: number}[] {
    const now = this.#minute()
    return Array.from({length: historyMinutes}, (_, index) => {
      const minute = now - historyMinutes + 1 + index
      const {succeeded = 0, failed = 0} = this.#minutes.get(minute) ?? {}
      return {minute: new Date(minute * 60_000).toISOString(), succeeded, failed}
    })
  }

  forget(id: string): void {
    this.#known.delete(id)
    this.#counts.delete(id)
    this.#unsaved.delete(id)
  }

  /** Takes the states that are not in the store yet. */
  drainUnsaved(): {runtimeId: string; state: RuntimeState}[] {
    const states = [...this.#unsaved].flatMap(id => {
      const known = this.#known.get(id)
      return known ? [{runtimeId: id, state: known.state}] : []
    })
    this.#unsaved.clear()
    return states
  }

  #countsOf(id: string): Counts {
    const known = this.#counts.get(id)
    if (known) return known
    const counts = {active: 0, succeeded: 0, failed: 0, sumMs: 0}
    this.#counts.set(id, counts)
    return counts
  }

  #minute(): number {
    return Math.floor(this.#clock.now() / 60_000)
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString()
  }
}
