import type {Writable} from 'node:stream'
import type {ServerChannel} from 'ssh2'

/** Writes; resolves when there is room for more, or the channel is gone. */
export async function writeTo(to: Writable, bytes: Uint8Array | string, gone: AbortSignal): Promise<void> {
  if (gone.aborted || !to.writable || to.write(bytes)) return
  await drained(to, gone)
}

/** Resolves when all that was written has left for the client, or the channel is gone. */
export async function flush(channel: ServerChannel, gone: AbortSignal): Promise<void> {
  for (const to of [channel.stderr, channel] as Writable[]) {
    if (!gone.aborted && to.writableLength > 0) await new Promise<void>(resolve => ended(to, gone, resolve))
  }
}

/** A message of ours to a person: never on the output of a command. */
export function say(channel: ServerChannel, text: string): void {
  if (channel.stderr.writable) channel.stderr.write(`gpuctl: ${text}\r\n`)
}

function drained(to: Writable, gone: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const go = () => {
      to.off('drain', go)
      gone.removeEventListener('abort', go)
      resolve()
    }
    to.once('drain', go)
    gone.addEventListener('abort', go)
  })
}

function ended(to: Writable, gone: AbortSignal, resolve: () => void): void {
  gone.addEventListener('abort', resolve, {once: true})
  to.write('', () => resolve())
}
