import {request} from 'node:http'
import {problem} from '../domain/errors.ts'
import type {ProbedRuntime, RuntimeProbe} from '../domain/ports.ts'
import {type Clock, sleep} from '../platform/clock.ts'
import type {DialGuard} from '../platform/dial-guard.ts'

/** security T6, (d) and (e). */
export const probeLimits = {
  /** The whole call. A failure is answered at that moment whatever it was, so that time tells nothing of the port. */
  deadlineMs: 2_000,
  /** A success is not answered earlier. */
  floorMs: 500,
  mostBytes: 64 * 1024,
  mostAtOnce: 4,
  perMinuteAndAddress: 5,
}

/** Of the log of a runtime (wire.md 1.7). */
const logDeadlineMs = 10_000
const mostLogBytes = 4 * 1024 * 1024

const mostCallers = 10_000
const minuteMs = 60_000
const mostModels = 1024

/**
 * Asks `GET http://ADDRESS:PORT+1/v1/models` of who registers. The address is an anonymous caller's: it is dialled as it
 * was checked, no redirect is followed, and nothing of the answer but names of models goes on.
 */
export class HttpRuntimeProbe implements RuntimeProbe {
  readonly #guard: DialGuard
  readonly #clock: Clock
  readonly #limits: typeof probeLimits
  readonly #callers = new Map<string, number[]>()
  #running = 0

  constructor({guard, clock, limits}: {guard: DialGuard; clock: Clock; limits?: Partial<typeof probeLimits>}) {
    this.#guard = guard
    this.#clock = clock
    this.#limits = {...probeLimits, ...limits}
  }

  async probe(endpoint: {address: string; port: number}, callerAddress: string): Promise<ProbedRuntime> {
    const apiPort = endpoint.port + 1
    const address = this.#guard.checkDial(endpoint.address, apiPort)
    if (address === undefined) {
      const fix =
        'Give the IP address of this machine, and a port from 1024 to 65534 whose next one is free for the API.'
      throw problem('input_invalid', {field: 'ip_address', problem: 'is not one that the server dials.', fix})
    }
    if (!this.#guard.mayClaim(address, callerAddress)) {
      const fix = 'Register from the machine itself; an administrator can trust networks with GPUCTL_NODE_CIDRS.'
      throw problem('input_invalid', {field: 'ip_address', problem: `is not ${callerAddress}, whence you call.`, fix})
    }
    this.#count(callerAddress)
    if (this.#running >= this.#limits.mostAtOnce) throw problem('too_busy', {what: 'registrations'})
    this.#running += 1
    try {
      return {address, ...(await this.#ask(address, apiPort))}
    } finally {
      this.#running -= 1
    }
  }

  async readLogs({address, port}: {address: string; port: number}, tail: number): Promise<unknown> {
    const checked = this.#guard.checkDial(address, port + 1)
    const gone = new AbortController()
    const timer = this.#clock.setTimeout(() => gone.abort(), logDeadlineMs)
    try {
      if (checked === undefined) throw new Error('the address may not be dialled')
      const path = `/v0/logs?tail=${tail}`
      return JSON.parse(await fetchText({address: checked, port: port + 1, path}, mostLogBytes, gone.signal))
    } catch (error) {
      throw problem('runtime_unreachable', {}, {cause: error})
    } finally {
      timer.cancel()
    }
  }

  async #ask(address: string, port: number): Promise<Omit<ProbedRuntime, 'address'>> {
    const {deadlineMs, floorMs} = this.#limits
    const startMs = this.#clock.monotonic()
    const wait = (untilMs: number) => sleep(this.#clock, Math.max(0, untilMs - (this.#clock.monotonic() - startMs)))
    const gone = new AbortController()
    const timer = this.#clock.setTimeout(() => gone.abort(), deadlineMs)
    try {
      const found = readModels(
        await fetchText({address, port, path: '/v1/models'}, this.#limits.mostBytes, gone.signal),
      )
      await wait(floorMs)
      return found
    } catch (error) {
      await wait(deadlineMs)
      throw problem('runtime_unreachable', {}, {cause: error})
    } finally {
      timer.cancel()
    }
  }

  #count(caller: string): void {
    const nowMs = this.#clock.monotonic()
    const since = (times: number[]) => times.filter(atMs => atMs > nowMs - minuteMs)
    const times = since(this.#callers.get(caller) ?? [])
    if (times.length >= this.#limits.perMinuteAndAddress) {
      const seconds = Math.max(1, Math.ceil((times[0]! + minuteMs - nowMs) / 1000))
      throw problem('too_many', {what: 'registrations from this machine', seconds})
    }
    if (this.#callers.size >= mostCallers)
      for (const [known, past] of this.#callers) if (since(past).length === 0) this.#callers.delete(known)
    if (this.#callers.size >= mostCallers) throw problem('too_busy', {what: 'registrations'})
    this.#callers.set(caller, [...times, nowMs])
  }
}

function fetchText(
  {address, port, path}: {address: string; port: number; path: string},
  mostBytes: number,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({host: address, port, path, agent: false, signal, maxHeaderSize: 8192})
    asked.setHeader('accept', 'application/json')
    asked.once('error', reject)
    asked.once('response', response => {
      const pieces: Buffer[] = []
      let bytes = 0
      response.once('error', reject)
      response.on('data', (piece: Buffer) => {
        bytes += piece.length
        if (bytes > mostBytes) asked.destroy(new Error(`more than ${mostBytes} bytes`))
        else pieces.push(piece)
      })
      response.once('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(pieces).toString('utf8'))
        else reject(new Error(`status ${response.statusCode}`))
      })
      response.once('close', () => reject(new Error('cut off')))
    })
    asked.end()
  })
}

/** `{data: [{id}], ready_models?: [ready, total], initializing?}`, or a bare array of the same. Throws unless it names a model. */
function readModels(text: string): Omit<ProbedRuntime, 'address'> {
  const body: unknown = JSON.parse(text)
  const {
    data,
    ready_models: told,
    initializing,
  } = (Array.isArray(body) ? {data: body} : body) as Record<string, unknown>
  const items = Array.isArray(data) ? data.slice(0, mostModels) : []
  const names = items.map(item => (typeof item === 'string' ? item : (item as {id?: unknown} | null)?.id))
  const models = names.filter((name): name is string => typeof name === 'string' && /^[^\p{C}]{1,256}$/u.test(name))
  if (models.length === 0) throw new Error('no models')
  const ready = readPair(told) ?? {ready: models.length, total: models.length}
  return {models, ready, initializing: typeof initializing === 'boolean' ? initializing : ready.ready < ready.total}
}

function readPair(pair: unknown): {ready: number; total: number} | undefined {
  if (!Array.isArray(pair)) return undefined
  const [ready, total] = pair as unknown[]
  const isPair =
    Number.isInteger(ready) && Number.isInteger(total) && Number(ready) >= 0 && Number(ready) <= Number(total)
  return isPair ? {ready: Number(ready), total: Number(total)} : undefined
}
