/** What a doctor found at one place. */
export interface Finding {
  /** What was looked at, in one word or two. */
  check: string
  level: 'ok' | 'warn' | 'error'
  message: string
  /** What to do; '' where nothing is to be done. */
  fix: string
}

/** With `repair` where a program may do it itself, because it takes nothing away. */
export interface Diagnosis extends Finding {
  repair?: () => Promise<unknown>
}
