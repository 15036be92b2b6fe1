import {spawn} from 'node:child_process'
import {constants} from 'node:os'
import type {ReadStream, WriteStream} from 'node:tty'
import type {Client} from '../../client/client.ts'
import {fatesInWords} from '../drain-words.ts'
import {exitCode} from '../exit-codes.ts'
import type {Paint} from '../output/paint.ts'
import {followFleet} from './feed.ts'
import type {FleetSnapshot} from './fleet.ts'
import {FullScreen} from './full-screen.ts'
import {readKeys} from './keys.ts'
import {drawFleet} from './layout.ts'
import {type Act, firstView, press, type View} from './view.ts'

type Change = Exclude<Act, {do: 'quit' | 'suspend' | 'logs' | 'ssh'}>

export interface TopParts {
  client: Client
  server: string
  interval: number
  paint: Paint
  widthOf: (text: string) => number
  input: ReadStream
  output: WriteStream
  /** Runs `gpuctl …args` in this terminal; answers its exit code. */
  runHere: (args: string[]) => Promise<number>
}

/** Without a reading for so long the head says so. */
const silentAfterMs = 5_000
const awayKeys = 'Press a key to go back to top.'

/** `top` at a terminal: what comes in (readings, keys, sizes, signals) and what is drawn. */
export class TopSession {
  readonly #parts: TopParts
  readonly #screen: FullScreen
  readonly #stop = new AbortController()
  #view: View = firstView
  #snapshot: FleetSnapshot | undefined
  #seenAtMs = performance.now()
  /** Another program has the terminal, or has just left it and its output is being read. */
  #isLent = false
  #exitCode: number = exitCode.ok

  constructor(parts: TopParts) {
    this.#parts = parts
    this.#screen = new FullScreen({
      input: parts.input,
      output: parts.output,
      onKeys: input => this.#keys(input),
      onResize: () => this.#draw(),
    })
  }

  /** Until the person quits (0), Ctrl-C or a signal (130). Throws what the server's refusal throws. */
  async run(): Promise<number> {
    const interrupt = () => {
      if (!this.#isLent) this.#quit(exitCode.interrupted)
    }
    const end = () => this.#quit(exitCode.interrupted)
    const resume = () => this.#comeBack()
    process.on('SIGINT', interrupt).on('SIGTERM', end).on('SIGHUP', end).on('SIGCONT', resume)
    const clock = setInterval(() => this.#draw(), 1_000)
    try {
      const {client, interval} = this.#parts
      for await (const snapshot of followFleet(client, {interval, signal: this.#stop.signal})) {
        if (!this.#snapshot) this.#screen.open()
        this.#snapshot = snapshot
        this.#seenAtMs = performance.now()
        this.#draw()
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error
    } finally {
      clearInterval(clock)
      this.#screen.close()
      this.#parts.input.setRawMode(false).pause()
      process.off('SIGINT', interrupt).off('SIGTERM', end).off('SIGHUP', end).off('SIGCONT', resume)
    }
    return this.#exitCode
  }

  #quit(code: number): void {
    this.#exitCode = code
    this.#stop.abort()
    // At once: a second signal must not meet a terminal without line editing.
    this.#screen.close()
  }

  #draw(): void {
    if (!this.#snapshot || this.#isLent || this.#stop.signal.aborted) return
    const {server, paint, widthOf} = this.#parts
    const silentMs = performance.now() - this.#seenAtMs
    const silentSeconds = silentMs > silentAfterMs ? Math.round(silentMs / 1000) : undefined
    const canvas = {...this.#screen.size, paint, widthOf, server, silentSeconds}
    this.#screen.draw(drawFleet(this.#snapshot, this.#view, canvas))
  }

  #keys(input: string): void {
    for (const key of readKeys(input)) {
      if (!this.#snapshot) return
      const page = Math.max(1, Math.floor(this.#screen.size.rows / 3))
      const {view, act} = press(this.#view, key, this.#snapshot, page)
      this.#view = view
      if (act) void this.#do(act)
    }
    this.#draw()
  }

  async #do(act: Act): Promise<void> {
    if (act.do === 'quit') this.#quit(act.interrupted ? exitCode.interrupted : exitCode.ok)
    else if (act.do === 'suspend') this.#suspend()
    else if (act.do === 'logs') await this.#lend(['instance', 'logs', act.instance, '--follow', '--tail', '200'])
    else if (act.do === 'ssh') await this.#lend(['instance', 'ssh', act.instance])
    else
      await this.#change(act).then(
        done => this.#say(done),
        error => this.#say(`Error: ${(error as Error).message}`),
      )
  }

  async #change(act: Change): Promise<string> {
    const {client} = this.#parts
    if (act.do === 'cancel') {
      await client.call('claims.cancel', {id: act.id})
      return `Claim ${act.name} is cancelled.`
    }
    if (act.do === 'stop') {
      await client.call('instances.stop', {id: act.id})
      return `${act.name} is being stopped.`
    }
    const {work} = await client.call('nodes.drain', {id: act.id})
    const fates = fatesInWords(work, {atDeadline: false})
    return `${act.name} gets no new work${fates ? `; ${fates}` : ''}.`
  }

  #say(message: string): void {
    this.#view = {...this.#view, message}
    this.#draw()
  }

  /** The terminal goes to another command of ours for a while; what it printed last stays until a key is pressed. */
  async #lend(args: string[]): Promise<void> {
    if (this.#isLent) return
    this.#isLent = true
    this.#screen.close()
    const code = await this.#parts.runHere(args)
    const isExpected = code === exitCode.interrupted || (code === exitCode.ok && args[1] === 'ssh')
    if (!isExpected && !this.#stop.signal.aborted) await this.#anyKey()
    this.#isLent = false
    this.#comeBack()
  }

  async #anyKey(): Promise<void> {
    const {input, output} = this.#parts
    output.write(`\n${awayKeys}\n`)
    input.setRawMode(true)
    const key = new Promise<void>(resolve => input.once('data', () => resolve()))
    input.resume()
    await key
  }

  #comeBack(): void {
    if (this.#stop.signal.aborted || this.#isLent || !this.#snapshot) return
    this.#screen.open()
    this.#draw()
  }

  /** As Ctrl-Z in other programs; SIGCONT comes back. */
  #suspend(): void {
    this.#screen.close()
    process.kill(process.pid, 'SIGTSTP')
  }
}

/** Runs a program in this terminal. While it does, Ctrl-C is its own. */
export function runInTerminal(program: string, args: string[]): Promise<number> {
  return new Promise(resolve => {
    const child = spawn(process.execPath, [program, ...args], {stdio: 'inherit'})
    child.once('error', () => resolve(exitCode.failure))
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal as NodeJS.Signals]))
  })
}
