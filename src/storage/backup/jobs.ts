import type {BackupJobState} from '../../contract/storage-protocol.ts'
import {StorageError} from '../driver.ts'

/** Document 003's max_concurrent_backups: the others wait their turn. */
const mostAtOnce = 2
/** Ends are kept for who was cut off and asks again. */
const mostKept = 100
/** An answer that nothing has changed comes after so long. */
const patienceMs = 2_000

export interface JobResult {
  sizeBytes: number
  checksum: string
}

type Work = (report: (bytes: number) => void, signal: AbortSignal) => Promise<JobResult>

interface Job {
  bytes: number
  stop: AbortController
  end: Promise<JobResult>
  isOver: boolean
}

/** Long work of this node that goes on when the server is away; the same name joins what runs. */
export class Jobs {
  readonly #jobs = new Map<string, Job>()
  #running = 0
  readonly #waiting: (() => void)[] = []

  /** Throws what the work threw; asked once more it begins anew then. */
  async join(name: string, work: Work): Promise<BackupJobState> {
    const job = this.#jobs.get(name) ?? this.#begin(name, work)
    let timer: NodeJS.Timeout | undefined
    const pause = new Promise<undefined>(resolve => {
      timer = setTimeout(() => resolve(undefined), patienceMs)
    })
    try {
      const end = await Promise.race([job.end, pause])
      return end ? {state: 'done', ...end} : {state: 'running', bytes: job.bytes}
    } catch (error) {
      this.#jobs.delete(name)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Resolves when nothing of it runs any more. */
  async end(name: string): Promise<void> {
    const job = this.#jobs.get(name)
    if (!job) return
    job.stop.abort(new StorageError('failed', 'It was cancelled.'))
    await job.end.catch(() => {})
    this.#jobs.delete(name)
  }

  #begin(name: string, work: Work): Job {
    for (const [old, {isOver}] of this.#jobs) if (isOver && this.#jobs.size >= mostKept) this.#jobs.delete(old)
    const stop = new AbortController()
    const job: Job = {bytes: 0, stop, isOver: false, end: Promise.resolve({sizeBytes: 0, checksum: ''})}
    const run = async () => {
      await this.#turn()
      try {
        stop.signal.throwIfAborted()
        return await work(bytes => {
          job.bytes += bytes
        }, stop.signal)
      } finally {
        job.isOver = true
        this.#running -= 1
        this.#waiting.shift()?.()
      }
    }
    job.end = run()
    job.end.catch(() => {}) // told to who asks
    this.#jobs.set(name, job)
    return job
  }

  async #turn(): Promise<void> {
    while (this.#running >= mostAtOnce) await new Promise<void>(resolve => this.#waiting.push(resolve))
    this.#running += 1
  }
}
