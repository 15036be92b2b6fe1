import type {Caller} from '../../domain/caller.ts'
import {problem} from '../../domain/errors.ts'

interface Bucket {
  /** Requests at once. */
  running: number
  /** Requests that may still begin; grows back at the rate. */
  left: number
  atMs: number
}

const minuteMs = 60_000
const mostBuckets = 10_000
/** Seconds after which one of the requests under way may be over. */
const soonSeconds = 2

/** How many requests each API key may begin a minute and have at once (security T33). In memory; a restart forgets. */
export class KeyLimits {
  readonly #buckets = new Map<string, Bucket>()
  readonly #concurrency: number

  /** `concurrency`: of those whose key names no own bound. */
  constructor({concurrency}: {concurrency: number}) {
    this.#concurrency = concurrency
  }

  /** Counts a request in; the function that it returns counts it out, once. Throws too_many. */
  enter(caller: Pick<Caller, 'id' | 'credential' | 'credentialId' | 'limits'>, nowMs: number): () => void {
    const {requestsPerMinute = null, concurrency} = caller.limits ?? {}
    // All logins of a user are one: another login gives no further room.
    const key = caller.credential === 'token' ? caller.credentialId : caller.id
    const bucket = this.#buckets.get(key) ?? {running: 0, left: requestsPerMinute ?? 0, atMs: nowMs}
    if (bucket.running >= (concurrency ?? this.#concurrency)) {
      throw problem('too_many', {what: 'requests at once with this key', seconds: soonSeconds})
    }
    if (requestsPerMinute !== null) take(bucket, requestsPerMinute, nowMs)
    bucket.running += 1
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > mostBuckets) this.#forget(nowMs)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      bucket.running -= 1
    }
  }

  /** Those that do nothing and have been full again for long. */
  #forget(nowMs: number): void {
    for (const [key, {running, atMs}] of this.#buckets) {
      if (running === 0 && nowMs - atMs > minuteMs) this.#buckets.delete(key)
    }
  }
}

function take(bucket: Bucket, requestsPerMinute: number, nowMs: number): void {
  const grownBack = (Math.max(0, nowMs - bucket.atMs) / minuteMs) * requestsPerMinute
  bucket.left = Math.min(requestsPerMinute, bucket.left + grownBack)
  bucket.atMs = nowMs
  if (bucket.left < 1) {
    const seconds = Math.max(1, Math.ceil(((1 - bucket.left) * 60) / requestsPerMinute))
    throw problem('too_many', {what: `requests with this key; it has ${requestsPerMinute} a minute`, seconds})
  }
  bucket.left -= 1
}
