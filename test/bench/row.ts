/** One line of the table. */
export interface Measurement {
  what: string
  /** The bare thing, measured in the same run, and what it is. */
  baseline: string
  ours: string
  /** Ours ÷ baseline. */
  ratio: number | undefined
  budget: string
  /** `unmeasured` needs a remark that says why. */
  verdict: 'met' | 'missed' | 'unmeasured' | 'no budget'
  remark?: string
}

export interface RowContext {
  /** Small figures that only show that the row works. */
  quick: boolean
  /** bin/run.js */
  program: string
  /** A new folder for this row. */
  folder: string
  /** Words for whoever waits. */
  progress(text: string): void
  /** Does it at the end of the row, last first, however the row ends. */
  atEnd(act: () => Promise<unknown> | unknown): void
}

export interface Row {
  name: string
  /** Rows of performance.md that it covers. */
  budgets: string
  measure(context: RowContext): Promise<Measurement[]>
}

export function verdict(isMet: boolean, {quick}: RowContext): Measurement['verdict'] {
  return quick ? 'no budget' : isMet ? 'met' : 'missed'
}

/** Why a line of the table has no figures here. */
export function unmeasured(what: string, budget: string, remark: string): Measurement {
  return {what, baseline: '–', ours: '–', ratio: undefined, budget, verdict: 'unmeasured', remark}
}
