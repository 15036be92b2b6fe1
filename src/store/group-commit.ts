import {setImmediate as nextTurn} from 'node:timers/promises'
import {problem} from '../domain/errors.ts'
import type {Sql} from './sql.ts'
import {type Database, type SqliteFailure, Statements} from './sqlite-driver.ts'
import {TransactionSql} from './sqlite-transaction.ts'

/** Most transactions that share one commit, and the longest time that is spent on filling one. */
const largestGroup = 256
const longestGroupMs = 20
/** More waiting ones than this are refused: their callers would time out before their turn. */
const longestQueue = 10_000
/** A transaction awaits the store only. One that is not done by then awaits something else, and everyone behind it. */
const longestWorkMs = 2_000

interface Waiting {
  work: (sql: Sql) => Promise<unknown>
  resolve: (value: unknown) => void
  reject: (reason: unknown) => void
}
type Outcome = {value: unknown} | {reason: unknown}

export interface GroupCommitOptions {
  database: Database
  /** What a failure of the database means; asked for each one. */
  judge: (error: unknown) => SqliteFailure
  /** Only transactions that give something back may write now (the disk is full). */
  isFull: () => boolean
  /** The disk has just been found full. Answers whether room was made, so that the group is worth another try. */
  onFull: () => boolean
  /** A write failed in a way that leaves the file's state unknown. */
  onBroken: (error: unknown) => void
}

/**
 * The only way to write to the SQLite file. Transactions that wait are run one after the other, each in a savepoint of
 * its own, and committed together: one fsync for up to 256 of them. A promise resolves after the COMMIT that holds it.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions
  readonly #statements: Statements
  readonly #queue: Waiting[] = []
  #isDraining = false
  #broken: unknown
  #drained: Promise<void> = Promise.resolve()
  /** For tests and the metrics: how many transactions shared how many commits. */
  readonly counts = {transactions: 0, commits: 0}

  constructor(options: GroupCommitOptions) {
    this.#options = options
    this.#statements = new Statements({database: options.database})
  }

  run<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    if (this.#broken !== undefined) return Promise.reject(problem('store_unavailable', {}, {cause: this.#broken}))
    if (this.#queue.length >= longestQueue) return Promise.reject(problem('too_busy', {what: 'writes'}))
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({work, resolve: resolve as (value: unknown) => void, reject})
      if (!this.#isDraining) this.#drained = this.#drain()
    })
  }

  /** Resolves when all that was asked for so far is committed or refused. */
  async idle(): Promise<void> {
    while (this.#isDraining) await this.#drained
  }

  async #drain(): Promise<void> {
    this.#isDraining = true
    try {
      while (this.#queue.length > 0) {
        // Whoever is about to write in this turn of the event loop shares the commit.
        await nextTurn()
        await this.#commitGroup()
      }
    } finally {
      this.#isDraining = false
    }
  }

  async #commitGroup(): Promise<void> {
    const group: {waiting: Waiting; outcome: Outcome}[] = []
    const since = performance.now()
    const wasFull = this.#options.isFull()
    let current: Waiting | undefined
    try {
      this.#statements.run('BEGIN IMMEDIATE')
      while (group.length < largestGroup && performance.now() - since < longestGroupMs) {
        current = this.#queue.shift()
        if (!current) break
        group.push({waiting: current, outcome: await this.#runOne(current.work)})
        current = undefined
      }
      this.#statements.run('COMMIT')
      this.counts.commits++
      this.counts.transactions += group.length
    } catch (error) {
      this.#rollBack()
      const all = group.map(({waiting}) => waiting)
      if (current) all.push(current)
      // Not even begun (closed, locked, full): those whose turn it was fail with it, else it would be tried for ever.
      if (all.length === 0) all.push(...this.#queue.splice(0, largestGroup))
      this.#failGroup(all, error, wasFull)
      return
    }
    for (const {waiting, outcome} of group) {
      if ('value' in outcome) waiting.resolve(outcome.value)
      else waiting.reject(outcome.reason)
    }
  }

  /** Throws only what ends the whole group; what is the work's own failure is its outcome. */
  async #runOne(work: Waiting['work']): Promise<Outcome> {
    const sql = new TransactionSql({statements: this.#statements})
    this.#statements.run('SAVEPOINT one')
    let outcome: Outcome
    try {
      outcome = {value: await withinTime(work(sql))}
      if (this.#options.isFull() && sql.hasWritten && !sql.hasGivenBack) outcome = {reason: problem('store_full', {})}
    } catch (error) {
      outcome = {reason: error}
    }
    sql.end()
    // Some failures (a full disk) undo the whole transaction, so the others of the group are undone with this one.
    if (sql.failure !== undefined) {
      const kind = this.#options.judge(sql.failure)
      if (kind !== 'other' || !this.#options.database.isTransaction) throw sql.failure
    }
    if ('reason' in outcome) this.#statements.run('ROLLBACK TO one')
    this.#statements.run('RELEASE one')
    return outcome
  }

  #rollBack(): void {
    try {
      if (this.#options.database.isTransaction) this.#statements.run('ROLLBACK')
    } catch {
      // Undone already, or the file is broken; the failure that led here is the one to tell.
    }
  }

  #failGroup(group: Waiting[], error: unknown, wasFull: boolean): void {
    const kind = this.#options.judge(error)
    if (kind === 'full') {
      // Once more, now with some room: what gives back goes through, the rest is told.
      const hasRoom = this.#options.onFull()
      if (hasRoom && !wasFull) this.#queue.unshift(...group)
      else for (const {reject} of group) reject(problem('store_full', {}, {cause: error}))
      return
    }
    const reason = kind === 'other' ? error : problem('store_unavailable', {}, {cause: error})
    for (const {reject} of group) reject(reason)
    if (kind !== 'broken') return
    this.#broken = error
    for (const {reject} of this.#queue.splice(0)) reject(reason)
    this.#options.onBroken(error)
  }
}

async function withinTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`A transaction took over ${longestWorkMs} ms: it awaits something other than the store.`)),
      longestWorkMs,
    )
  })
  try {
    return await Promise.race([work, tooLong])
  } finally {
    clearTimeout(timer)
  }
}
