import type {Client} from '../../client/client.ts'
import type {Terminal} from '../../client/terminal.ts'
import {type ControlMessage, encodeControl, encodeFrame, frameKind} from '../../contract/frames.ts'
import {Failure} from '../failure.ts'

/** Sends a tar to be unpacked in a folder of an instance. Resolves when all is written there. */
export async function upload(
  client: Client,
  {instance, folder}: {instance: string; folder: string},
  tar: AsyncIterable<Uint8Array>,
): Promise<void> {
  const socket = await client.terminal('instances.unpack', {id: instance, path: folder})
  let isOver = false
  const end = readEnd(socket).finally(() => {
    isOver = true
  })
  end.catch(() => {}) // awaited below
  try {
    await send(socket, tar, () => isOver).catch(error => {
      if (!isOver) throw error // else the other side's reason is the better one
    })
    await end
  } finally {
    socket.close()
  }
}

async function send(socket: Terminal, tar: AsyncIterable<Uint8Array>, isOver: () => boolean): Promise<void> {
  for await (const piece of tar) {
    if (isOver()) return
    await socket.send(encodeFrame(frameKind.stdin, piece))
  }
  await socket.send(encodeControl({eof: true}))
}

async function readEnd({frames}: Terminal): Promise<void> {
  for await (const {kind, payload} of frames) {
    if (kind !== frameKind.control) continue
    const {exit, error} = JSON.parse(Buffer.from(payload).toString('utf8')) as ControlMessage
    if (error) throw new Failure(error.code, error.message)
    if (exit) return
  }
  throw new Failure('connection_lost', 'The upload ended early: what is there now may be half of it.')
}
