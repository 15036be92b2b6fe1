import type {Store} from '../domain/ports.ts'

/** A store that is open, with what the metrics and the tests want to know of it. */
export interface OpenedStore extends Store {
  /** Since it was opened. On SQLite many transactions share a commit. */
  readonly counts: Readonly<{transactions: number; commits: number}>
}
