/** Steps that take back what was done, newest first. */
export class Rollback {
  readonly #steps: {name: string; undo: () => unknown}[] = []

  /** Remembers how to take back what was just done. `name` is for the report when that fails. */
  add(name: string, undo: () => unknown): void {
    this.#steps.push({name, undo})
  }

  /** Takes everything back; a step that fails does not keep the others from being tried. Returns the failures. */
  async undo(): Promise<{name: string; error: unknown}[]> {
    const failures: {name: string; error: unknown}[] = []
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        await step.undo()
      } catch (error) {
        failures.push({name: step.name, error})
      }
    }
    return failures
  }
}

/** The work failed, and so did taking it back: something was left behind. `cause` is the first failure. */
export class RollbackFailed extends Error {
  override readonly name = 'RollbackFailed'
  readonly left: readonly {name: string; error: unknown}[]

  constructor(cause: unknown, left: readonly {name: string; error: unknown}[]) {
    const names = left.map(({name}) => name).join(', ')
    super(`${cause instanceof Error ? cause.message : String(cause)} (not taken back: ${names})`, {cause})
    this.left = left
  }
}

/** Does the work; when it throws, takes its steps back in reverse and throws the same error, or `RollbackFailed`. */
export async function withRollback<T>(work: (rollback: Rollback) => Promise<T>): Promise<T> {
  const rollback = new Rollback()
  try {
    return await work(rollback)
  } catch (error) {
    const failures = await rollback.undo()
    throw failures.length > 0 ? new RollbackFailed(error, failures) : error
  }
}
