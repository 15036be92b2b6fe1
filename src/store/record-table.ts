import {problem} from '../domain/errors.ts'
import {type Row, type Sql, UniqueViolation, type Value} from './sql.ts'

interface Identified {
  id: string
  number: number
}
type Unnumbered<T> = Omit<T, 'number'>

/**
 * How a record lies in its table: the columns `number`, `id` and `body` (the record as JSON), and those that are searched
 * or constrained. A field that is only read needs no column and no migration.
 */
export interface Fields<T extends Identified> {
  table: string
  /** What people call it in messages. */
  kind: string
  columns: Record<string, (record: Unnumbered<T>) => Value>
  nameOf(record: Unnumbered<T>): string
  /** Columns that stay as they were inserted: an update leaves them, and the indexes over them, alone. */
  fixed?: readonly string[]
  /** The part of the record that the body keeps; all of it unless given. */
  toBody?(record: Unnumbered<T>): object
  /** What columns say that the body does not, or says no longer. */
  fromColumns?(row: Row): Partial<T>
}

/** Fields with their statements, which are written once and not once per transaction. */
export type Layout<T extends Identified> = Fields<T> & {
  statements: Statements
  isUpdated: (column: string) => boolean
}

interface Statements {
  insert: string
  update: string
  updateVersion: string
  select: string
  delete: string
}

/** Reads and writes the records of one table. */
export class RecordTable<T extends Identified> {
  readonly #sql: Sql
  readonly #layout: Layout<T>

  constructor({sql, layout}: {sql: Sql; layout: Layout<T>}) {
    this.#sql = sql
    this.#layout = layout
  }

  /** Throws name_taken when a unique index refuses it. */
  async insert(record: Unnumbered<T>): Promise<T> {
    const rows = await this.#unique(record, () =>
      this.#sql.write(this.#layout.statements.insert, [...this.#valuesOf(record, () => true), record.id]),
    )
    return {...record, number: rows[0]!.number} as T
  }

  /** Replaces the record whatever it was. */
  async replace(record: T): Promise<void> {
    await this.#unique(record, () =>
      this.#sql.run(this.#layout.statements.update, [...this.#valuesOf(record), record.id]),
    )
  }

  /** Replaces the record if nobody did since it was read; throws changed_meanwhile otherwise. */
  async replaceVersion<V extends T & {version: number}>(record: V): Promise<V> {
    const next = {...record, version: record.version + 1}
    const changes = await this.#unique(record, () =>
      this.#sql.run(this.#layout.statements.updateVersion, [...this.#valuesOf(next), record.id, record.version]),
    )
    if (changes === 0) {
      throw problem('changed_meanwhile', {kind: this.#layout.kind, name: this.#layout.nameOf(record)})
    }
    return next
  }

  /** `rest` follows FROM: joins are not for here, conditions and order are. */
  async first(rest: string, parameters: readonly Value[]): Promise<T | undefined> {
    const row = await this.#sql.get(this.#layout.statements.select + rest, parameters)
    return row && this.fromRow(row)
  }

  async many(rest: string, parameters: readonly Value[] = []): Promise<T[]> {
    const rows = await this.#sql.all(this.#layout.statements.select + rest, parameters)
    return rows.map(row => this.fromRow(row))
  }

  find(id: string): Promise<T | undefined> {
    return this.first('WHERE id = ?', [id])
  }

  lock(id: string): Promise<T | undefined> {
    return this.first(`WHERE id = ?${this.#sql.words.forUpdate}`, [id])
  }

  share(id: string): Promise<T | undefined> {
    return this.first(`WHERE id = ?${this.#sql.words.forShare}`, [id])
  }

  findByNumber(number: number): Promise<T | undefined> {
    if (!Number.isSafeInteger(number)) return Promise.resolve(undefined)
    return this.first('WHERE number = ?', [number])
  }

  /** Ids are ASCII in lower case, so `~` is behind them all. */
  findByPrefix(prefix: string, ownerId: string | undefined, limit: number): Promise<T[]> {
    const from = prefix.toLowerCase()
    const owner = ownerId === undefined ? '' : 'AND owner_id = ? '
    return this.many(`WHERE id >= ? AND id < ? ${owner}ORDER BY id LIMIT ?`, [
      from,
      `${from}~`,
      ...(ownerId === undefined ? [] : [ownerId]),
      limit,
    ])
  }

  async delete(id: string): Promise<void> {
    await this.#sql.givingBack().run(this.#layout.statements.delete, [id])
  }

  fromRow(row: Row): T {
    const record = {...JSON.parse(row.body as string), ...this.#layout.fromColumns?.(row)}
    record.number = row.number
    return record
  }

  #valuesOf(record: Unnumbered<T>, wanted = this.#layout.isUpdated): Value[] {
    const {columns, toBody} = this.#layout
    const values: Value[] = []
    for (const name in columns) if (wanted(name)) values.push(columns[name]!(record))
    values.push(JSON.stringify(toBody ? toBody(record) : record))
    return values
  }

  async #unique<R>(record: Unnumbered<T>, write: () => Promise<R>): Promise<R> {
    try {
      return await write()
    } catch (error) {
      if (!(error instanceof UniqueViolation)) throw error
      throw problem('name_taken', {kind: this.#layout.kind, name: this.#layout.nameOf(record)}, {cause: error})
    }
  }
}

/** A condition per filter that is given. The texts stay few, so that their statements stay prepared. */
export class Conditions {
  readonly #texts: string[] = []
  readonly values: Value[] = []

  add(text: string, ...values: Value[]): void {
    this.#texts.push(text)
    this.values.push(...values)
  }

  addIn(column: string, values: readonly Value[] | undefined): void {
    if (!values) return
    this.add(values.length > 0 ? `${column} IN (${values.map(() => '?').join(', ')})` : '1 = 0', ...values)
  }

  toString(): string {
    return this.#texts.length > 0 ? `WHERE ${this.#texts.join(' AND ')} ` : ''
  }
}

export function layoutOf<T extends Identified>(fields: Fields<T>): Layout<T> {
  const {table, fixed = []} = fields
  const isUpdated = (column: string) => !fixed.includes(column)
  const names = [...Object.keys(fields.columns), 'body']
  const changing = names.filter(isUpdated)
  const places = names.map(() => '?').join(', ')
  const update = `UPDATE ${table} SET ${changing.map(name => `${name} = ?`).join(', ')} WHERE id = ?`
  return {
    ...fields,
    isUpdated,
    statements: {
      insert: `INSERT INTO ${table} (${names.join(', ')}, id) VALUES (${places}, ?) RETURNING number`,
      update,
      updateVersion: `${update} AND version = ?`,
      select: `SELECT * FROM ${table} `,
      delete: `DELETE FROM ${table} WHERE id = ?`,
    },
  }
}
