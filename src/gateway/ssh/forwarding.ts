import type {ServerChannel, TcpipRequestInfo} from 'ssh2'
import type {ByteStream} from '../../domain/ports.ts'
import {writeTo} from './channel-output.ts'
import type {Visit} from './visit.ts'

const itself = ['localhost', '127.0.0.1', '::1']

/**
 * Opens what `-L`, `-D`, `-W` and `-J` ask for: a port of the chosen instance, under the name localhost or its own, or of
 * an own instance that is named. Nothing else is reached through the jump host (T26). Throws what the services throw.
 */
export async function openForward(visit: Visit, {destIP: host, destPort: port}: TcpipRequestInfo): Promise<ByteStream> {
  await visit.session()
  const goal = await visit.goal()
  const isGoal = goal && [...itself, goal.id, goal.name, visit.wanted].includes(host)
  const {id} = goal && isGoal ? goal : await visit.enter(itself.includes(host) ? '' : host)
  return visit.services.instances.openForward({id, port}, visit.caller)
}

/** Until both directions have ended, or one broke. */
export async function joinForward(channel: ServerChannel, stream: ByteStream, gone: AbortSignal): Promise<void> {
  const leave = () => stream.close()
  channel.on('error', leave)
  channel.once('close', leave)
  gone.addEventListener('abort', leave)
  const input = copyInput(channel, stream).catch(leave)
  try {
    for await (const piece of stream.output) await writeTo(channel, piece, gone)
    // Our end of the channel closes all of it: the client may still have something to say.
    channel.eof()
    await input
  } finally {
    gone.removeEventListener('abort', leave)
    stream.close()
    channel.end()
  }
}

async function copyInput(channel: ServerChannel, stream: ByteStream): Promise<void> {
  for await (const piece of channel.iterator({destroyOnReturn: false}) as AsyncIterable<Buffer>) {
    await stream.write(piece)
  }
  stream.end()
}
