import {safe} from './output/safe.ts'
import {widthOf, wrap} from './output/wrap.ts'
import {isTerminal, wantsColour} from './terminal.ts'

/** Room of the spinner's sign and of the space behind it. */
const sign = '  '
const retryMs = 300

/** What is being waited for, on stderr: a spinner on a terminal after 300 ms, else one line for each new step. */
export class Progress {
  /** A terminal has room for one: a second one waits until the first is over. */
  static #shown: Progress | undefined
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
    if (Progress.#shown === this) Progress.#shown = undefined
  }

  async #spin(): Promise<void> {
    const {default: ora} = await import('ora')
    if (this.#isOver) return
    if (Progress.#shown) {
      this.#begin = setTimeout(() => void this.#spin(), retryMs)
      return
    }
    Progress.#shown = this
    this.#spinner = ora({text: '', color: this.#color, stream: process.stderr, discardStdin: false})
    this.#show()
    this.#spinner.start()
    this.#clock = setInterval(() => this.#show(), 1000)
    this.#clock.unref()
  }

  #show(): void {
    if (!this.#spinner) return
    const seconds = Math.round((performance.now() - this.#startedAt) / 1000)
    const text = seconds < 2 ? this.#last : `${this.#last} (${seconds} s)`
    const width = widthOf(process.stderr)
    this.#spinner.text = wrap(text, width && width - sign.length - 1, sign)
  }
}
