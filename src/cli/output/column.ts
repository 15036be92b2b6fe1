/** What a number counts. */
export type Unit = 'MiB' | 'GiB' | 'bytes'

/** One column of a list: what scripts get, and what people see where that differs. */
export interface Column<T> {
  /** One word or two, lower case; tables show it in capitals. */
  name: string
  value: (row: T) => string | number | boolean | null | undefined
  /** For people on a terminal, as a time ago. */
  shown?: (row: T) => string
  /** Only with `-o wide`, and in csv. */
  wide?: boolean
  /** So that `--where 'memory>=24GB'` can be answered. */
  unit?: Unit
}

export function cellText(value: string | number | boolean | null | undefined): string {
  return value === null || value === undefined ? '' : String(value)
}
