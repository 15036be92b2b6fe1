import type {Sql} from '../sql.ts'

/** Names of the column types, where the stores differ. */
export interface ColumnTypes {
  /** Primary key that the store counts up and never gives twice. */
  number: string
  /** Compared byte by byte. */
  text: string
  integer: string
  /** One more column (or nothing): which transaction wrote the row. */
  writer: string
}

/** One step forward. Runs once, in one transaction; the same statements for both stores. */
export interface Migration {
  version: number
  name: string
  statements(types: ColumnTypes): string[]
  /** After the statements: what is computed from the rows that are there. */
  fill?(sql: Sql): Promise<void>
}
