import {StringDecoder} from 'node:string_decoder'
import {type ControlMessage, type Frame, frameKind} from '../contract/frames.ts'
import {isMachine, type OutputFormat} from './global-flags.ts'
import {encodeLine, write} from './output/machine.ts'
import {safe} from './output/safe.ts'
import {isTerminal} from './terminal.ts'

type StreamName = 'stdout' | 'stderr'

export interface LogStyle {
  format: OutputFormat | undefined
  /** Every byte as it is, at a terminal too. */
  raw: boolean
  /** Name of the workload, where there are several. */
  name?: string
  /** Before each line; may hold colours. */
  prefix?: string
  /** Only lines with it. */
  grep?: RegExp
}

/** Longest part of a line that waits for its end, characters; a longer line goes in pieces. */
const longestHalf = 64 * 1024

/**
 * Writes a workload's two streams to ours: raw into a pipe, without control sequences at a terminal, or as NDJSON. With
 * a prefix or a pattern, line by line.
 */
export class LogWriter {
  readonly #style: LogStyle
  readonly #decoders = {stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8')}
  readonly #halves = {stdout: '', stderr: ''}

  constructor(style: LogStyle) {
    this.#style = style
  }

  async frame({kind, payload}: Frame): Promise<void> {
    if (kind === frameKind.control) return this.#control(JSON.parse(Buffer.from(payload).toString('utf8')))
    const name: StreamName = kind === frameKind.stderr ? 'stderr' : 'stdout'
    if (this.#isPlain(name) && !this.#byLine) return write(process[name], payload)
    return this.text(name, this.#decoders[name].write(Buffer.from(payload)))
  }

  async text(stream: StreamName, text: string): Promise<void> {
    const wanted = this.#byLine ? this.#lines(stream, text) : text
    if (wanted === '') return
    const {format, name} = this.#style
    if (isMachine(format))
      return write(process.stdout, encodeLine({...(name ? {instance: name} : {}), stream, text: wanted}))
    const shown = this.#isPlain(stream) ? wanted : safe(wanted, {keepNewlines: true})
    await write(process[stream], this.#prefixed(shown))
  }

  /** What waits for the end of its line. */
  async end(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) if (this.#halves[stream]) await this.text(stream, '\n')
  }

  /** About the output, not of it. */
  remark(text: string): Promise<void> {
    return write(process.stderr, this.#prefixed(`${safe(text)}\n`))
  }

  get #byLine(): boolean {
    return this.#style.prefix !== undefined || this.#style.grep !== undefined
  }

  #isPlain(stream: StreamName): boolean {
    return !isMachine(this.#style.format) && (this.#style.raw || !isTerminal(process[stream]))
  }

  /** Whole lines only, those that are wanted. */
  #lines(stream: StreamName, text: string): string {
    const {grep} = this.#style
    const lines = `${this.#halves[stream]}${text}`.split('\n')
    const half = lines.pop() ?? ''
    this.#halves[stream] = half.length > longestHalf ? '' : half
    if (half.length > longestHalf) lines.push(half)
    return lines
      .filter(line => grep?.test(line) ?? true)
      .map(line => `${line}\n`)
      .join('')
  }

  #prefixed(text: string): string {
    const {prefix, format} = this.#style
    return prefix === undefined || isMachine(format) ? text : text.replace(/^(?=.)|^(?=\n)/gm, prefix)
  }

  async #control({dropped, error}: ControlMessage): Promise<void> {
    if (dropped) await this.remark(`[${dropped} bytes are left out]`)
    if (error) throw new Error(error.message)
  }
}
