import {sealWaiting} from './audit-writing.ts'
import type {Sql} from './sql.ts'

/** Seals soon after each transaction that left a row, one batch at a time. */
export class AuditSealer {
  readonly #sql: Sql
  #running: Promise<void> | undefined
  #isWanted = false

  constructor({sql}: {sql: Sql}) {
    this.#sql = sql
  }

  soon(): void {
    this.#isWanted = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Resolves when all that was left so far is chained, or cannot be now: then the next one does it. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running
  }

  async #run(): Promise<void> {
    while (this.#isWanted) {
      this.#isWanted = false
      await sealWaiting(this.#sql).catch(() => undefined)
    }
  }
}
