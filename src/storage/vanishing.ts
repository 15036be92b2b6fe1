import {StorageError} from './driver.ts'

/** Of things that were listed and then looked at: those that went meanwhile are left out, which is no failure. */
export async function stillThere<T>(looks: readonly Promise<T>[]): Promise<T[]> {
  const found = await Promise.allSettled(looks)
  const failed = found.find(one => one.status === 'rejected' && !isGone(one.reason))
  if (failed?.status === 'rejected') throw failed.reason
  return found.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
}

function isGone(error: unknown): boolean {
  return error instanceof StorageError ? error.code === 'not_found' : (error as {code?: string}).code === 'ENOENT'
}
