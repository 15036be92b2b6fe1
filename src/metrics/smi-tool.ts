import {type Exec, ExecError} from '../platform/exec.ts'
import {safe} from '../platform/terminal-text.ts'

/** What came of asking the tool. `absent`: it cannot be started here. `silent`: it was started, and gave no usable answer. */
export type SmiAnswer =
  | {outcome: 'answered'; stdout: string; code: number; words: string}
  | {outcome: 'absent' | 'silent'; words: string}

export interface SmiToolOptions {
  exec: Exec
  /** Path, or a name to look for in PATH. */
  file: string
  timeoutMs: number
}

/** Far more than 64 GPUs need; a tool that prints on for ever is ended there. */
const maxOutputBytes = 1024 * 1024

/**
 * A vendor's tool, of which never more than one runs. With a driver that hangs, the tool sleeps in the kernel where even
 * SIGKILL does not reach it: the caller gets its answer at the deadline all the same, and until that process is gone every
 * further call is answered at once, without a new process beside it.
 */
export class SmiTool {
  readonly #exec: Exec
  readonly #file: string
  readonly #timeoutMs: number
  readonly #closing = new AbortController()
  #turn: Promise<unknown> = Promise.resolve()
  #process: Promise<unknown> | undefined

  constructor({exec, file, timeoutMs}: SmiToolOptions) {
    this.#exec = exec
    this.#file = file
    this.#timeoutMs = timeoutMs
  }

  /** Runs the tool with these arguments when the calls before it are answered. Never throws. */
  run(args: readonly string[]): Promise<SmiAnswer> {
    const answer = this.#turn.then(() => this.#run(args))
    this.#turn = answer.catch(() => undefined)
    return answer
  }

  /** Ends a running tool; waits no longer for it than the deadline. */
  async close(): Promise<void> {
    this.#closing.abort()
    if (this.#process) await this.#withDeadline(this.#process)
  }

  async #run(args: readonly string[]): Promise<SmiAnswer> {
    const unanswered: SmiAnswer = {
      outcome: 'silent',
      words: `${this.#name} did not answer in ${this.#timeoutMs / 1000} s`,
    }
    if (this.#process) return unanswered
    const process = this.#start(args).finally(() => {
      this.#process = undefined
    })
    this.#process = process
    return (await this.#withDeadline(process)) ?? unanswered
  }

  async #start(args: readonly string[]): Promise<SmiAnswer | undefined> {
    const {signal} = this.#closing
    try {
      const {stdout, stderr, code} = await this.#exec(this.#file, args, {
        timeoutMs: this.#timeoutMs,
        maxOutputBytes,
        signal,
        env: {LC_ALL: 'C'},
      })
      return {
        outcome: 'answered',
        stdout,
        code,
        words: oneLine(stdout) || oneLine(stderr) || `${this.#name} ended with ${code}`,
      }
    } catch (error) {
      if (!(error instanceof ExecError)) throw error
      if (error.code === 'timeout') return
      const isAbsent = error.code === 'not_found' || error.code === 'not_allowed' || error.code === 'not_started'
      return {outcome: isAbsent ? 'absent' : 'silent', words: oneLine(error.message)}
    }
  }

  get #name(): string {
    return this.#file.split('/').at(-1)!
  }

  async #withDeadline<T>(work: Promise<T>): Promise<T | undefined> {
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<undefined>(resolve => {
      timer = setTimeout(() => resolve(undefined), this.#timeoutMs)
    })
    return Promise.race([work, deadline]).finally(() => clearTimeout(timer))
  }
}

/** A tool's words as one short line that is fit to be shown anywhere. */
export function oneLine(text: string): string {
  const line = safe(text.slice(0, 2_000).replace(/\s+/g, ' ').trim())
  return line.length > 200 ? `${Array.from(line).slice(0, 199).join('')}…` : line
}
