import {type ChildProcess, fork} from 'node:child_process'
import {join} from 'node:path'

type Reply = {result: unknown} | {error: string}

/** Makes this process a worker: it does the jobs that its starter sends, one after the other, and ends with it. */
export function serveJobs<J, R>(work: (job: J) => Promise<R>): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', job => {
    work(job as J).then(
      result => process.send?.({result} satisfies Reply),
      error =>
        process.send?.({
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        } satisfies Reply),
    )
  })
}

/** A process of its own for a load or a baseline, so that its CPU is not that of what is measured. */
export class WorkerProcess<J, R> {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>

  /** `name`: a file of test/bench/workers. */
  constructor(name: string) {
    const folder = process.env.GPUCTL_BENCH_FOLDER
    if (!folder) throw new Error('Start benches with `npm run bench` or `npm run soak`.')
    this.#child = fork(join(folder, `${name}.js`), {stdio: ['ignore', 'inherit', 'inherit', 'ipc']})
    this.#exited = new Promise(resolve => this.#child.once('exit', () => resolve()))
  }

  get pid(): number {
    return this.#child.pid!
  }

  run(job: J): Promise<R> {
    return new Promise((resolve, reject) => {
      const gone = () => reject(new Error('The worker process ended before its job was done.'))
      this.#child.once('exit', gone)
      this.#child.once('message', message => {
        this.#child.off('exit', gone)
        const reply = message as Reply
        if ('error' in reply) reject(new Error(reply.error))
        else resolve(reply.result as R)
      })
      this.#child.send(job as object)
    })
  }

  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 3_000)
    await this.#exited
    clearTimeout(force)
  }
}
