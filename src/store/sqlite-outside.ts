import type {GroupCommit} from './group-commit.ts'
import type {ColumnTypes} from './migrations/migration.ts'
import type {Row, Sql} from './sql.ts'
import type {Statements} from './sqlite-driver.ts'
import {words} from './sqlite-transaction.ts'

export const types: ColumnTypes = {
  number: 'INTEGER PRIMARY KEY AUTOINCREMENT',
  text: 'TEXT',
  integer: 'INTEGER',
  writer: '',
}

/** Outside of a transaction: reads see what is committed, a write is a transaction of its own. */
export class OutsideSql implements Sql {
  readonly words = words
  readonly #statements: Statements
  readonly #groups: GroupCommit
  readonly #givesBack: boolean

  constructor({statements, groups, givesBack}: {statements: Statements; groups: GroupCommit; givesBack?: boolean}) {
    this.#statements = statements
    this.#groups = groups
    this.#givesBack = givesBack ?? false
  }

  async all(...[statement, parameters]: Parameters<Sql['all']>): Promise<Row[]> {
    return this.#statements.all(statement, parameters)
  }

  async get(...[statement, parameters]: Parameters<Sql['get']>): Promise<Row | undefined> {
    return this.#statements.all(statement, parameters)[0]
  }

  write(...[statement, parameters]: Parameters<Sql['write']>): Promise<Row[]> {
    return this.together(sql => sql.write(statement, parameters))
  }

  run(...[statement, parameters]: Parameters<Sql['run']>): Promise<number> {
    return this.together(sql => sql.run(statement, parameters))
  }

  together<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#groups.run(sql => work(this.#givesBack ? sql.givingBack() : sql))
  }

  givingBack(): Sql {
    return new OutsideSql({statements: this.#statements, groups: this.#groups, givesBack: true})
  }
}
