import {beforeAll, beforeEach} from 'vitest'
import {dockerMissing, sharedDocker} from './docker.ts'
import {ensureBusyboxImage} from './images.ts'
import {unmet} from './skips.ts'

/**
 * The engine that tests share, with the image busybox, for those of a file or a block: its address is there when the first
 * of them begins. Where there is none they are skipped and say so.
 */
export function busyboxEngine(): {socketPath: string} {
  const address = {socketPath: ''}
  let reason: string | undefined
  beforeAll(async () => {
    reason = unmet('busybox') ?? (await dockerMissing())
    if (reason) return
    address.socketPath = (await sharedDocker()).socketPath
    await ensureBusyboxImage(address)
  })
  beforeEach(context => {
    if (reason) context.skip(reason)
  })
  return address
}
