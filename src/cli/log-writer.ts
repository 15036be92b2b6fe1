import {StringDecoder} from 'node:string_decoder'
import {type ControlMessage, type Frame, frameKind} from '../contract/frames.ts'
import {isMachine, type OutputFormat} from './global-flags.ts'
import {encodeLine, write} from './output/machine.ts'
import {safe} from './output/safe.ts'
import {isTerminal} from './terminal.ts'

type StreamName = 'stdout' | 'stderr'

/** Writes a workload's two streams to ours: raw into a pipe, without control sequences at a terminal, or as NDJSON. */
export class LogWriter {
  readonly #format: OutputFormat | undefined
  readonly #raw: boolean
  readonly #decoders = {stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8')}

  constructor({format, raw}: {format: OutputFormat | undefined; raw: boolean}) {
    this.#format = format
    this.#raw = raw
  }

  async frame({kind, payload}: Frame): Promise<void> {
    if (kind === frameKind.control) return this.#control(JSON.parse(Buffer.from(payload).toString('utf8')))
    const name: StreamName = kind === frameKind.stderr ? 'stderr' : 'stdout'
    const isPlain = !isMachine(this.#format) && (this.#raw || !isTerminal(process[name]))
    if (isPlain) return write(process[name], payload)
    return this.text(name, this.#decoders[name].write(Buffer.from(payload)))
  }

  async text(stream: StreamName, text: string): Promise<void> {
    if (isMachine(this.#format)) return write(process.stdout, encodeLine({stream, text}))
    const isPlain = this.#raw || !isTerminal(process[stream])
    return write(process[stream], isPlain ? text : safe(text, {keepNewlines: true}))
  }

  /** About the output, not of it. */
  remark(text: string): Promise<void> {
    return write(process.stderr, `${safe(text)}\n`)
  }

  async #control({dropped, error}: ControlMessage): Promise<void> {
    if (dropped) await this.remark(`[${dropped} bytes are left out]`)
    if (error) throw new Error(error.message)
  }
}
