import type {ServerChannel} from 'ssh2'
import {type ControlMessage, FrameReader, frameKind} from '../../contract/frames.ts'
import type {ExecStream} from '../../domain/ports.ts'
import {writeTo} from './channel-output.ts'
import type {StartProcess} from './container-content.ts'
import {ContainerFiles} from './container-files.ts'
import {ContainerShell} from './container-shell.ts'
import {joinExec} from './exec-bridge.ts'
import {ExecReader} from './exec-reader.ts'
import {SftpServer} from './sftp-server.ts'
import {PacketReader} from './sftp-wire.ts'
import type {Goal, Visit} from './visit.ts'

/**
 * Becomes the image's own sftp-server where it has one, else a shell that runs our small commands; and says first which.
 * Where the images of Debian, Alpine, Fedora, Arch and SUSE have it.
 */
const places = [
  '/usr/lib/openssh/sftp-server',
  '/usr/lib/ssh/sftp-server',
  '/usr/libexec/openssh/sftp-server',
  '/usr/libexec/sftp-server',
  '/usr/lib/sftp-server',
]
const line = `for at in ${places.join(' ')}; do [ -x $at ] && echo own >&2 && exec $at; done; echo none >&2; exec /bin/sh`

/** Serves the subsystem `sftp`; the exit code. */
export async function serveSftp(channel: ServerChannel, visit: Visit, goal: Goal, gone: AbortSignal): Promise<number> {
  const session = await visit.session()
  const start: StartProcess = command =>
    visit.services.instances.openExec({id: goal.id, command, stdin: true}, visit.caller, session)
  const exec = await start(['/bin/sh', '-c', line])
  const {isOwn, output} = await readFirstWord(exec)
  const rest = {...exec, output, write: (frame: Uint8Array) => exec.write(frame), close: () => exec.close()}
  if (isOwn) return (await joinExec(channel, rest, gone)).code
  return serveFiles(channel, rest, start, gone)
}

async function serveFiles(
  channel: ServerChannel,
  exec: ExecStream,
  start: StartProcess,
  gone: AbortSignal,
): Promise<number> {
  const shell = new ContainerShell(exec, new ExecReader(exec))
  const leave = () => shell.close()
  gone.addEventListener('abort', leave)
  const server = new SftpServer(await ContainerFiles.open(shell), start)
  try {
    const reader = new PacketReader()
    for await (const piece of channel.iterator({destroyOnReturn: false}) as AsyncIterable<Buffer>) {
      for (const packet of reader.read(piece)) await writeTo(channel, await server.answer(packet), gone)
    }
    return 0
  } finally {
    gone.removeEventListener('abort', leave)
    server.cut()
    shell.close()
  }
}

/** What the line above says on its error output; throws when the container has no shell. */
async function readFirstWord(exec: ExecStream): Promise<{isOwn: boolean; output: AsyncIterable<Uint8Array>}> {
  const reader = new FrameReader()
  const pieces = exec.output[Symbol.asyncIterator]()
  let said = ''
  for (;;) {
    const {value, done} = await pieces.next()
    if (done) throw new Error('The process for SFTP ended at once.')
    for (const {kind, payload} of reader.read(value)) {
      if (kind === frameKind.stderr) said += Buffer.from(payload).toString()
      if (kind === frameKind.control && (JSON.parse(Buffer.from(payload).toString()) as ControlMessage).exit) {
        throw new Error('The image has no shell for SFTP.')
      }
    }
    if (said.includes('\n')) break
  }
  return {isOwn: said.startsWith('own'), output: {[Symbol.asyncIterator]: () => pieces}}
}
