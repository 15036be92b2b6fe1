import {execFile, execFileSync} from 'node:child_process'
import {randomUUID} from 'node:crypto'
import {join} from 'node:path'
import {onTestFinished} from 'vitest'
import {program} from './gpuctl.ts'
import {eventually} from './wait.ts'
import type {WholeFleet} from './whole-fleet.ts'

/** A terminal, of 80 × 24 unless said, in which a person runs a shell, also where CI runs the test; gone with the test. */
export class Screen {
  readonly #socket = `gpuctl-${randomUUID().slice(0, 8)}`

  constructor({cliEnvironment}: Pick<WholeFleet, 'cliEnvironment'>, {columns, rows} = {columns: 80, rows: 24}) {
    const variables = Object.entries(cliEnvironment).flatMap(([name, value]) => ['-e', `${name}=${value}`])
    const shell = ['-x', String(columns), '-y', String(rows), ...variables, 'env -u CI PS1="here> " sh']
    this.#tmux(['-f', '/dev/null', 'new-session', '-d', ...shell])
    onTestFinished(() => void execFile('tmux', ['-L', this.#socket, 'kill-server'], () => {}))
  }

  /** Types the line `gpuctl …args` and Enter. */
  run(args: string): void {
    this.type(`${process.execPath} ${join(program)} ${args}`)
    this.press('Enter')
  }

  type(text: string): void {
    this.#tmux(['send-keys', '-l', '--', text])
  }

  /** As tmux names keys: `C-c`, `Enter`, `Up`. */
  press(...keys: string[]): void {
    this.#tmux(['send-keys', ...keys])
  }

  resize(columns: number, rows: number): void {
    this.#tmux(['resize-window', '-x', String(columns), '-y', String(rows)])
  }

  /** What is to be seen now, lines without spaces at their end. */
  get text(): string {
    return this.#tmux(['capture-pane', '-p']).replace(/ +$/gm, '').trimEnd()
  }

  /** As `text`, each line as it was written: one that the terminal had to break is whole, and wider than it. */
  get written(): string[] {
    return this.#tmux(['capture-pane', '-p', '-J']).replace(/ +$/gm, '').trimEnd().split('\n')
  }

  get isCursorShown(): boolean {
    return this.#tmux(['display-message', '-p', '#{cursor_flag}']).trim() === '1'
  }

  /** Resolves when it is to be seen. */
  shows(pattern: RegExp, withinMs = 15_000): Promise<unknown> {
    return eventually(() => pattern.test(this.text), {
      withinMs,
      everyMs: 50,
      what: `${pattern} on the screen`,
    }).catch(error => {
      throw new Error(`${(error as Error).message}\n${this.text}`, {cause: error})
    })
  }

  #tmux(args: string[]): string {
    return execFileSync('tmux', ['-L', this.#socket, ...args], {encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe']})
  }
}
