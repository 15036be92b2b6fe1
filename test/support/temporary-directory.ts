import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {onTestFinished} from 'vitest'

/** A new folder of its own, removed with all in it when the running test has ended. Short, since sockets may lie in it. */
export async function temporaryDirectory(prefix = 'gpuctl-'): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), prefix))
  onTestFinished(() => rm(path, {recursive: true, force: true, maxRetries: 3}))
  return path
}
