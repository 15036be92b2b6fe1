import {StorageError} from './driver.ts'

interface Back {
  /** Takes back what was done; again, or half done, is no error. */
  undo(): Promise<unknown>
  /** What is left behind when that fails too, and what ends it: one sentence each. */
  left: string
}

/** Does the work, or takes it back. When both fail the error has the words of both, and says what is left behind. */
export async function orTakenBack<T>(work: () => Promise<T>, {undo, left}: Back): Promise<T> {
  try {
    return await work()
  } catch (error) {
    try {
      await undo()
    } catch (second) {
      throw bothFailed(error, second, left)
    }
    throw error
  }
}

/** Does the work, and then what must follow it in any case. The failure of the second never hides that of the first. */
export async function andThen<T>(work: () => Promise<T>, {undo, left}: Back): Promise<T> {
  const result = await orTakenBack(work, {undo, left})
  try {
    await undo()
  } catch (error) {
    const code = error instanceof StorageError ? error.code : 'failed'
    throw new StorageError(code, `${sentence((error as Error).message)} ${left}`, {cause: error})
  }
  return result
}

function bothFailed(error: unknown, second: unknown, left: string): StorageError {
  const [why, whyNot] = [error, second].map(one => sentence((one as Error).message))
  const code = error instanceof StorageError ? error.code : 'failed'
  return new StorageError(code, `${why} Taking it back failed too: ${whyNot} ${left}`, {cause: error})
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
