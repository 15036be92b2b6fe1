import {setTimeout as delay} from 'node:timers/promises'
import {ApiError, UnreachableError} from '../client/api-error.ts'
import {exitCode} from './exit-codes.ts'
import {isMachine, type OutputMode} from './global-flags.ts'
import type {Column} from './output/column.ts'
import {encodeList, encodeObject, type Line} from './output/listing.ts'
import {encodeLine, encodeValue, type MachineFormat, pickFields, write} from './output/machine.ts'
import {Redraw} from './output/redraw.ts'
import {isTerminal} from './terminal.ts'
import type {WakeEvents} from './wake-events.ts'

/**
 * How often is looked without events; with them how soon after one, and how often beside them, for what changes without;
 * how long the server may be away (milliseconds).
 */
const pace = {everyMs: 1_000, afterEventMs: 200, besideEventsMs: 5_000, awayMs: 60_000}
/** They change with every beat of a node and say nothing new. */
const restless = new Set(['lastSeenAt', 'updatedAt', 'version'])

/**
 * Looks at the same thing again and again (`-w`). On a terminal the screen is drawn anew; in a pipe and in the machine
 * formats only what is new or has changed is added, as NDJSON, rows or documents.
 */
export class Watch {
  readonly #mode: OutputMode
  readonly #notice: (line: string) => void
  readonly #screen: Redraw | undefined
  readonly #seen = new Map<string, string>()
  #isFirst = true
  #frame = ''

  constructor({mode, notice}: {mode: OutputMode; notice: (line: string) => void}) {
    this.#mode = mode
    this.#notice = notice
    const isDrawn = isTerminal(process.stdout) && (mode.format === undefined || /^(table|wide)$/.test(mode.format))
    this.#screen = isDrawn && !mode.quiet ? new Redraw(process.stdout) : undefined
  }

  async list<T extends object>(rows: T[], columns: Column<T>[], empty: string): Promise<void> {
    if (this.#screen) this.#frame += (await encodeList(rows, columns, this.#mode)) ?? `${empty}\n`
    else {
      const header = this.#mode.header && this.#isFirst
      await write(process.stdout, (await encodeList(this.#changed(rows), columns, {...this.#mode, header})) ?? '')
    }
  }

  async show(object: object, lines: Line[]): Promise<void> {
    const text = await encodeObject(object, lines, this.#mode)
    if (this.#screen) this.#frame += text
    else if (this.#changed([object]).length > 0) await write(process.stdout, text)
  }

  /** A sentence of the command between two looks. */
  async say(line: string): Promise<void> {
    if (this.#screen) this.#frame += `${line}\n`
    else if (this.#isFirst) await write(process.stdout, `${line}\n`)
  }

  /** Begins with what the first look found, and goes on until Ctrl-C. Throws what ends it. */
  async follow(first: unknown, look: () => Promise<unknown>, events?: WakeEvents): Promise<void> {
    const stop = new AbortController()
    const interrupt = () => stop.abort()
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, interrupt)
    let found = first
    let lostAt: number | undefined
    void events?.follow(stop.signal)
    // The first pause is a short one: what happened before the stream was open is seen by the second look.
    let mostMs = pace.everyMs
    try {
      for (;;) {
        await this.#finish(found)
        if (events?.isLive) {
          await delay(pace.afterEventMs, undefined, {signal: stop.signal})
          await events.next({mostMs, signal: stop.signal})
          mostMs = pace.besideEventsMs
        } else await delay(pace.everyMs, undefined, {signal: stop.signal})
        found = await look().catch(error => {
          lostAt ??= performance.now()
          if (!isPassing(error) || performance.now() - lostAt > pace.awayMs) throw error
          return error as Error
        })
        if (!(found instanceof Error)) lostAt = undefined
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error
      process.exitCode = exitCode.interrupted
    } finally {
      stop.abort()
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, interrupt)
    }
  }

  async #finish(found: unknown): Promise<void> {
    const {format} = this.#mode
    if (found instanceof Error) {
      this.#frame = ''
      return this.#notice(`${found.message} Looking again.`)
    }
    if (this.#screen) await this.#screen.draw(this.#frame)
    else if (isMachine(format)) {
      for (const one of this.#changed([found].flat() as object[])) {
        await write(process.stdout, await this.#encode(one, format))
      }
    }
    this.#frame = ''
    this.#isFirst = false
  }

  async #encode(value: object, format: MachineFormat): Promise<string> {
    const {fields, jq} = this.#mode
    const picked = fields ? pickFields(value, fields) : value
    if (jq !== undefined) return (await import('./output/jq.ts')).runJq(picked, jq)
    return format === 'yaml' ? `---\n${await encodeValue(picked, format)}` : encodeLine(picked)
  }

  /** What is new or other than at the last look. */
  #changed<T extends object>(rows: T[]): T[] {
    const before = new Map(this.#seen)
    this.#seen.clear()
    return rows.filter(row => {
      const {id, number, name} = row as {id?: string; number?: number; name?: string}
      const key = String(id ?? number ?? name ?? this.#seen.size)
      const text = JSON.stringify(row, (member, value) => (restless.has(member) ? undefined : value))
      this.#seen.set(key, text)
      return before.get(key) !== text
    })
  }
}

/** A server that restarts or is busy comes back; a refusal stays one. */
function isPassing(error: unknown): boolean {
  if (error instanceof ApiError) return [429, 502, 503].includes(error.status)
  return error instanceof UnreachableError && error.code !== 'tls_failed'
}
