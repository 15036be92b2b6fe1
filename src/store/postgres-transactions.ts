import type {Pool, PoolClient} from 'pg'
import {problem} from '../domain/errors.ts'
import {type DialectWords, type Row, type Sql, UniqueViolation, type Value, WritersMet} from './sql.ts'

export const words: DialectWords = {
  forUpdate: ' FOR UPDATE',
  forShare: ' FOR SHARE',
  settled: 'writer < pg_snapshot_xmin(pg_current_snapshot())',
  chainsLater: true,
}

/** How long a call may wait for a connection, and how long it is tried again after conflicts and lost connections (F19). */
export const retryBudgetMs = 10_000
const firstPauseMs = 20
const longestPauseMs = 1_000
/** A transaction that rests longer is ended by the server, and its locks with it. */
export const longestIdleMs = 2_000
const idleInTransaction = '25P03'

/**
 * One transaction is one connection. Run again within ten seconds: after a deadlock or a serialization failure, after
 * two writers met, and after a lost connection, but never once COMMIT was sent without an answer, because then it may
 * have happened. That one fails as store_unavailable; callers ask again with the same Idempotency-Key.
 */
export class Transactions {
  readonly #pool: Pool
  readonly #texts = new Map<string, {name: string; text: string}>()
  readonly counts = {transactions: 0, commits: 0}

  constructor({pool}: {pool: Pool}) {
    this.#pool = pool
  }

  run<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#again(async (client, loss) => {
      const progress = {commitSent: false}
      try {
        await client.query('BEGIN')
        const sql = new ClientSql({client, texts: this.#texts})
        const value = await Promise.race([work(sql), loss]).finally(() => sql.end())
        progress.commitSent = true
        const {command} = await client.query('COMMIT')
        // PostgreSQL answers COMMIT with ROLLBACK when a statement failed and the work went on in spite of it.
        if (command !== 'COMMIT') throw new Error('A statement of the transaction had failed; nothing was changed.')
        this.counts.transactions++
        this.counts.commits++
        return value
      } catch (error) {
        if (progress.commitSent && isLostConnection(error)) throw problem('store_unavailable', {}, {cause: error})
        if (!isLostConnection(error)) await client.query('ROLLBACK').catch(() => undefined)
        throw error
      }
    })
  }

  /** One statement that reads, without a transaction around it. */
  read(statement: string, parameters: readonly Value[] = []): Promise<Row[]> {
    return this.#again(client => new ClientSql({client, texts: this.#texts}).all(statement, parameters))
  }

  async #again<T>(act: (client: PoolClient, loss: Promise<never>) => Promise<T>): Promise<T> {
    const giveUpAtMs = performance.now() + retryBudgetMs
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        return await this.#withClient(act)
      } catch (error) {
        if (!isWorthAnotherTry(error)) throw error
        if (performance.now() + pauseMs > giveUpAtMs) throw problem('store_unavailable', {}, {cause: error})
        await new Promise(resolve => setTimeout(resolve, pauseMs * (0.5 + Math.random() / 2)))
      }
    }
  }

  async #withClient<T>(act: (client: PoolClient, loss: Promise<never>) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect()
    let lost: Error | undefined
    // Without it the process ends when the server dies: the pool listens only to connections that are not in use.
    let onError = (_: Error): void => undefined
    const loss = new Promise<never>((_, reject) => {
      onError = error => {
        lost ??= error
        reject(lossOf(error))
      }
    })
    loss.catch(() => undefined)
    client.on('error', onError)
    try {
      return await act(client, loss)
    } catch (error) {
      if (isLostConnection(error)) lost ??= error as Error
      throw error
    } finally {
      client.removeListener('error', onError)
      // Destroying it may still bring errors, which say nothing new.
      if (lost) client.on('error', () => undefined)
      client.release(lost)
    }
  }
}

/** Statements of one connection, prepared there under one name per text. */
class ClientSql implements Sql {
  readonly words = words
  readonly #client: PoolClient
  readonly #texts: Map<string, {name: string; text: string}>
  #isOver = false

  constructor({client, texts}: {client: PoolClient; texts: Map<string, {name: string; text: string}>}) {
    this.#client = client
    this.#texts = texts
  }

  async all(statement: string, parameters?: readonly Value[]): Promise<Row[]> {
    return (await this.#query(statement, parameters)).rows
  }

  async get(statement: string, parameters?: readonly Value[]): Promise<Row | undefined> {
    return (await this.all(statement, parameters))[0]
  }

  write(statement: string, parameters?: readonly Value[]): Promise<Row[]> {
    return this.all(statement, parameters)
  }

  async run(statement: string, parameters?: readonly Value[]): Promise<number> {
    return (await this.#query(statement, parameters)).rowCount ?? 0
  }

  together<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return work(this)
  }

  givingBack(): Sql {
    return this
  }

  /** The connection goes back to the pool; what was not awaited must not run in somebody else's transaction. */
  end(): void {
    this.#isOver = true
  }

  async #query(statement: string, parameters: readonly Value[] = []) {
    if (this.#isOver) throw new Error('The transaction is over; something in it was not awaited.')
    let known = this.#texts.get(statement)
    if (!known) {
      known = {name: `gpuctl_${this.#texts.size + 1}`, text: numbered(statement)}
      this.#texts.set(statement, known)
    }
    try {
      return await this.#client.query<Row>({...known, values: parameters.map(storable)})
    } catch (error) {
      throw (error as {code?: string}).code === '23505'
        ? new UniqueViolation(String((error as {constraint?: string}).constraint), {cause: error})
        : error
    }
  }
}

/** `?` to `$1`, `$2`, … No statement has a `?` in a literal. */
function numbered(statement: string): string {
  let count = 0
  return statement.replaceAll('?', () => `$${++count}`)
}

/** PostgreSQL's text has no NUL; in JSON it is escaped anyway. */
function storable(value: Value): Value {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value
}

/** The server went away, is starting, or its administrator ended the connection. */
function isLostConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const {code} = error as {code?: string}
  if (code !== undefined && /^(08...|57P0[123]|ECONNREFUSED|ECONNRESET|EPIPE|ENOENT|ETIMEDOUT)$/.test(code)) return true
  return /Connection terminated|Client has encountered a connection error|not queryable/i.test(error.message)
}

function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof WritersMet || isLostConnection(error)) return true
  const {code, message} = error as {code?: string; message?: string}
  // 53300: no connection left there; the last: none left in our pool.
  return (
    code === '40001' || code === '40P01' || code === '53300' || message === 'timeout exceeded when trying to connect'
  )
}

/** The server ends a transaction that rests; that is a mistake in the work, not a lost connection to try again with. */
function lossOf(error: Error & {code?: string}): Error {
  if (error.code !== idleInTransaction) return error
  return new Error(`A transaction rested over ${longestIdleMs} ms: it awaits something other than the store.`, {
    cause: error,
  })
}
