import {safe} from './output/safe.ts'
import {isTerminal, wantsColour} from './terminal.ts'

/** What is being waited for, on stderr: a spinner on a terminal after 300 ms, else one line for each new step. */
export class Progress {
  readonly #quiet: boolean
  readonly #isTerminal: boolean
  readonly #afterMs: number
  readonly #color: 'cyan' | false
  readonly #startedAt = performance.now()
  #spinner: import('ora').Ora | undefined
  #begin: NodeJS.Timeout | undefined
  #clock: NodeJS.Timeout | undefined
  #last = ''
  #isOver = false

  constructor({
    quiet,
    colour,
    afterMs = 300,
  }: {
    quiet: boolean
    colour?: 'auto' | 'always' | 'never'
    afterMs?: number
  }) {
    this.#quiet = quiet
    this.#afterMs = afterMs
    this.#color = wantsColour(process.stderr, colour) && 'cyan'
    this.#isTerminal = isTerminal(process.stderr) && process.env.TERM !== 'dumb'
  }

  step(text: string): void {
    const line = safe(text)
    if (this.#quiet || this.#isOver || line === this.#last) return
    this.#last = line
    if (!this.#isTerminal) process.stderr.write(`${line}\n`)
    else if (this.#spinner) this.#show()
    else this.#begin ??= setTimeout(() => void this.#spin(), this.#afterMs)
  }

  /** Takes the spinner away. May be called twice. */
  end(): void {
    this.#isOver = true
    clearTimeout(this.#begin)
    clearInterval(this.#clock)
    this.#spinner?.stop()
  }

  async #spin(): Promise<void> {
    const {default: ora} = await import('ora')
    if (this.#isOver) return
    this.#spinner = ora({text: this.#last, color: this.#color, stream: process.stderr, discardStdin: false}).start()
    this.#clock = setInterval(() => this.#show(), 1000)
    this.#clock.unref()
  }

  #show(): void {
    const seconds = Math.round((performance.now() - this.#startedAt) / 1000)
    if (this.#spinner) this.#spinner.text = seconds < 2 ? this.#last : `${this.#last} (${seconds} s)`
  }
}
