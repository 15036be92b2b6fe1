/** Calls that come before the work has begun share it: nobody gets an answer that is older than the question. */
export function joined<T>(work: () => Promise<T>): () => Promise<T> {
  let next: Promise<T> | undefined
  return () => {
    next ??= Promise.resolve().then(() => {
      next = undefined
      return work()
    })
    return next
  }
}
