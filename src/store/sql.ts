/** What a column takes. Booleans are 0 and 1, times RFC 3339, structures JSON: the same in both stores. */
export type Value = string | number | null
export type Row = Record<string, Value>

/**
 * The seam between the tables and a database. The SQL is portable, with `?` for parameters; statements are prepared once
 * per text, so texts must not hold values.
 */
export interface Sql {
  readonly words: DialectWords
  /** Rows of a statement that changes nothing. Outside of a transaction it sees committed rows only. */
  all(statement: string, parameters?: readonly Value[]): Promise<Row[]>
  /** First row of a statement that changes nothing. */
  get(statement: string, parameters?: readonly Value[]): Promise<Row | undefined>
  /** Rows that a changing statement returns (`RETURNING`). Throws UniqueViolation. */
  write(statement: string, parameters?: readonly Value[]): Promise<Row[]>
  /** Changes rows and answers how many. Throws UniqueViolation. */
  run(statement: string, parameters?: readonly Value[]): Promise<number>
  /** Several statements as one: inside a transaction they are part of it, outside they get one of their own. */
  together<T>(work: (sql: Sql) => Promise<T>): Promise<T>
  /** The same, for what gives something back (a release, a deletion): it may use the last room on a full disk. */
  givingBack(): Sql
}

/** Where the dialects differ. */
export interface DialectWords {
  /** Appended to a SELECT: keeps the row as it is until the transaction ends, where others could change it. */
  forUpdate: string
  /** The same, but several transactions may do so at once. */
  forShare: string
  /** A condition of `events`: no row with a lower number can still appear. */
  settled: string
  /** Rows of the audit are chained after their COMMIT, because many write at once. */
  chainsLater: boolean
}

/** A unique index refused the row. After it PostgreSQL only rolls the transaction back. */
export class UniqueViolation extends Error {
  constructor(
    /** What the database says of it: name of the index, or `table.column, table.column`. */
    readonly constraint: string,
    options?: ErrorOptions,
  ) {
    super(`Not unique: ${constraint}`, options)
    this.name = 'UniqueViolation'
  }
}

/** Two writers met; the whole transaction is to be run again. */
export class WritersMet extends Error {
  constructor(what: string, options?: ErrorOptions) {
    super(`Two writers met at ${what}.`, options)
    this.name = 'WritersMet'
  }
}

/** The store cannot be opened as it is. Message and hint are for the operator. */
export class StoreUnusable extends Error {
  constructor(
    message: string,
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'StoreUnusable'
  }
}

export const booleanValue = (value: boolean): number => (value ? 1 : 0)
