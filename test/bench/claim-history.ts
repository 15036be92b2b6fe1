import {randomUUID} from 'node:crypto'
import {setTimeout as pause} from 'node:timers/promises'
import type {Api} from './api.ts'

/** What a client was told, and may rely on from then on. */
export interface Acknowledged {
  id: string
  body: ClaimBody
  cancelled: boolean
}

export interface ClaimBody {
  image: string
  command: string[]
  gpus: {count: number}
  labels: {soak: string}
  maxTimeSeconds: number
}

interface ClaimAnswer {
  id: string
  status: {phase: string}
  error?: {code: string}
}

const finals = new Set(['Completed', 'Failed', 'Released'])
const pauseAfterFailureMs = 15

/**
 * Clients of a server that may die at any moment, and what they were told. Every submit has a key and is repeated with
 * it until an answer comes, as a careful script does it. What an answer contradicts is kept as a fault.
 */
export class ClaimHistory {
  readonly acknowledged = new Map<string, Acknowledged>()
  /** Sentences: each one is a broken promise. */
  readonly faults: string[] = []
  readonly counts = {submits: 0, cancels: 0, replays: 0, refusedReplays: 0, unsure: 0, refusals: 0}
  readonly #api: () => Api
  #isOver = false
  #clients: Promise<void>[] = []
  readonly #keys: string[] = []

  /** `api` answers the one to call now. */
  constructor({api}: {api: () => Api}) {
    this.#api = api
  }

  start(clients: number): void {
    this.#clients = Array.from({length: clients}, () => this.#live())
  }

  /** Lets every client finish what it is at; nothing is left in doubt then. Call it while a server answers. */
  async finish(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#clients)
  }

  /** Answers of a server, ever: grows while one is served. */
  get answers(): number {
    const {submits, cancels, replays, refusedReplays} = this.counts
    return submits + cancels + replays + refusedReplays
  }

  /** Repeats the submits of at most `most` keys, taken evenly: the same body must find its claim, another must be refused. */
  async replayAll(most: number): Promise<void> {
    const step = Math.max(1, Math.ceil(this.#keys.length / most))
    const chosen = this.#keys.filter((_, index) => index % step === 0)
    let next = 0
    const line = async () => {
      while (next < chosen.length) {
        const key = chosen[next++]!
        await this.#replay(key)
        await this.#replayOther(key)
      }
    }
    await Promise.all(Array.from({length: 16}, line))
  }

  async #live(): Promise<void> {
    while (!this.#isOver) {
      const dice = Math.random()
      const known = this.#keys[Math.floor(Math.random() * this.#keys.length)]
      if (dice < 0.65 || known === undefined) await this.#submit()
      else if (dice < 0.85) await this.#cancel(known)
      else if (dice < 0.95) await this.#replay(known)
      else await this.#replayOther(known)
    }
  }

  async #submit(): Promise<void> {
    const key = randomUUID()
    const body = {
      image: 'soak/none:1',
      command: ['sleep', '1'],
      gpus: {count: 1},
      labels: {soak: key},
      maxTimeSeconds: 1,
    }
    const claim = await this.#post('/claims', body, key)
    if (!claim) return
    this.acknowledged.set(key, {id: claim.id, body, cancelled: false})
    this.#keys.push(key)
    this.counts.submits++
  }

  async #cancel(key: string): Promise<void> {
    const known = this.acknowledged.get(key)!
    const claim = await this.#post(`/claims/${known.id}/cancel`, {})
    if (!claim) return
    if (!finals.has(claim.status.phase)) this.#fault(`claim ${known.id}: cancelled, and answered ${claim.status.phase}`)
    known.cancelled = true
    this.counts.cancels++
  }

  async #replay(key: string): Promise<void> {
    const known = this.acknowledged.get(key)!
    const claim = await this.#post('/claims', known.body, key)
    if (!claim) return
    if (claim.id !== known.id) this.#fault(`key ${key}: was claim ${known.id}, answered again with ${claim.id}`)
    this.counts.replays++
  }

  async #replayOther(key: string): Promise<void> {
    const body = {...this.acknowledged.get(key)!.body, gpus: {count: 2}}
    const answer = await this.#answer('/claims', body, key)
    if (answer.status !== 422) this.#fault(`key ${key}: another body was answered with ${answer.status}, not 422`)
    this.counts.refusedReplays++
  }

  async #post(path: string, body: unknown, key?: string): Promise<ClaimAnswer | undefined> {
    const {status, body: claim} = await this.#answer(path, body, key)
    if (status >= 200 && status < 300) return claim
    this.#fault(`POST ${path} answered ${status} ${claim.error?.code ?? ''}`)
    return undefined
  }

  /** Again and again until a server has answered; 429 and 503 are no answers but requests to wait. */
  async #answer(path: string, body: unknown, key?: string): Promise<{status: number; body: ClaimAnswer}> {
    for (;;) {
      try {
        const headers: Record<string, string> = key === undefined ? {} : {'idempotency-key': key}
        const answer = await this.#api().call<ClaimAnswer>('POST', path, {body, headers, timeoutMs: 5_000})
        if (answer.status !== 429 && answer.status !== 503) return answer
        this.counts.refusals++
      } catch {
        this.counts.unsure++
      }
      await pause(pauseAfterFailureMs)
    }
  }

  #fault(sentence: string): void {
    if (this.faults.length < 100) this.faults.push(sentence)
  }
}
