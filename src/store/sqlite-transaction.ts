import {type DialectWords, type Row, type Sql, UniqueViolation, type Value} from './sql.ts'
import type {Statements} from './sqlite-driver.ts'
import {translated} from './sqlite-driver.ts'

/** One writer at a time: rows need no locks, and numbers appear in their order. */
export const words: DialectWords = {forUpdate: '', forShare: '', settled: '1 = 1', chainsLater: false}

/** Statements of one transaction. After its end every further one is refused. */
export class TransactionSql implements Sql {
  readonly words = words
  readonly #statements: Statements
  #isOver = false
  hasWritten = false
  hasGivenBack = false
  /** A failure of the database itself, whatever the work made of it. */
  failure: unknown

  constructor({statements}: {statements: Statements}) {
    this.#statements = statements
  }

  async all(statement: string, parameters?: readonly Value[]): Promise<Row[]> {
    return this.#do(() => this.#statements.all(statement, parameters))
  }

  async get(statement: string, parameters?: readonly Value[]): Promise<Row | undefined> {
    return this.#do(() => this.#statements.all(statement, parameters)[0])
  }

  async write(statement: string, parameters?: readonly Value[]): Promise<Row[]> {
    this.hasWritten = true
    return this.#do(() => this.#statements.all(statement, parameters))
  }

  async run(statement: string, parameters?: readonly Value[]): Promise<number> {
    this.hasWritten = true
    return this.#do(() => this.#statements.run(statement, parameters))
  }

  together<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return work(this)
  }

  givingBack(): Sql {
    this.hasGivenBack = true
    return this
  }

  end(): void {
    this.#isOver = true
  }

  #do<T>(act: () => T): T {
    if (this.#isOver) throw new Error('The transaction is over; something in it was not awaited, or awaited too long.')
    try {
      return act()
    } catch (error) {
      const known = translated(error)
      if (!(known instanceof UniqueViolation)) this.failure ??= error
      throw known
    }
  }
}
