import {type ChildProcess, spawn} from 'node:child_process'
import {mkdirSync} from 'node:fs'

interface AgentOptions {
  /** bin/run.js, or the lab agent where there is a lab. */
  program: string
  /** Folder of the lab agent's own programs. */
  lab?: string | undefined
  data: string
  server: string
  joinTokenFile: string
  /** What starts it elsewhere, as in a network namespace. */
  via?: readonly string[]
}

/** An agent as a process of its own, as an operator starts it. It runs no containers. */
export class AgentProcess {
  readonly data: string
  readonly #options: AgentOptions
  readonly #child: ChildProcess
  readonly #exited: Promise<NodeJS.Signals | null>
  #text = ''

  private constructor(options: AgentOptions) {
    const {program, data, server, joinTokenFile, lab, via = []} = options
    this.#options = options
    this.data = data
    mkdirSync(data, {recursive: true, mode: 0o700})
    const flags = ['--server', server, '--join-token-file', joinTokenFile, '--runtime', 'process', '--fake-gpus', '1']
    const words = lab ? [server, joinTokenFile, lab] : ['agent', 'start', ...flags, '--local-api', 'none']
    const [file = '', ...args] = [...via, process.execPath, program, ...words]
    this.#child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {PATH: process.env.PATH, HOME: data, TMPDIR: process.env.TMPDIR, GPUCTL_DATA_DIR: data},
    })
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      output?.setEncoding('utf8').on('data', (piece: string) => {
        this.#text = (this.#text + piece).slice(-4_000)
      })
    }
    this.#exited = new Promise(resolve => this.#child.once('exit', (_, signal) => resolve(signal)))
  }

  static start(options: AgentOptions): AgentProcess {
    return new AgentProcess(options)
  }

  /** After its end: the next one of the same machine. */
  again(): AgentProcess {
    return new AgentProcess(this.#options)
  }

  /** The end of what it said. */
  log(): string {
    return this.#text
  }

  /** A crash. */
  async kill9(): Promise<void> {
    this.#child.kill('SIGKILL')
    if ((await this.#exited) !== 'SIGKILL') throw new Error(`The agent ended by itself.\n${this.#text}`)
  }

  /** In peace; by force after 10 s. Null: it ended by itself. */
  async stop(): Promise<NodeJS.Signals | null> {
    this.#child.kill('SIGTERM')
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    const signal = await this.#exited
    clearTimeout(force)
    return signal
  }
}
