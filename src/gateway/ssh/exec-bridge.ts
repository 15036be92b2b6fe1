import type {ServerChannel} from 'ssh2'
import {
  type ControlMessage,
  encodeControl,
  encodeFrame,
  FrameReader,
  frameKind,
  maxFrameBytes,
} from '../../contract/frames.ts'
import {problem} from '../../domain/errors.ts'
import type {ExecStream} from '../../domain/ports.ts'
import {writeTo} from './channel-output.ts'

/** What the engine says of a program that is not in the image comes as output, and its exit code is one of these. */
const notStarted = [126, 127]
const rememberedBytes = 512

export interface Ending {
  code: number
  /** The beginning of the output, where the program may not have started at all. */
  beginning: string
}

/** Joins a channel and a process until the process ends. Throws when the stream breaks, or the session was ended. */
export async function joinExec(channel: ServerChannel, exec: ExecStream, gone: AbortSignal): Promise<Ending> {
  const leave = () => exec.close()
  gone.addEventListener('abort', leave)
  if (gone.aborted) leave()
  void copyInput(channel, exec).catch(leave)
  try {
    return await copyOutput(channel, exec, gone)
  } finally {
    gone.removeEventListener('abort', leave)
    exec.close()
  }
}

async function copyInput(channel: ServerChannel, exec: ExecStream): Promise<void> {
  for await (const piece of channel.iterator({destroyOnReturn: false}) as AsyncIterable<Buffer>) {
    for (let at = 0; at < piece.length; at += maxFrameBytes) {
      await exec.write(encodeFrame(frameKind.stdin, piece.subarray(at, at + maxFrameBytes)))
    }
  }
  await exec.write(encodeControl({eof: true}))
}

async function copyOutput(channel: ServerChannel, exec: ExecStream, gone: AbortSignal): Promise<Ending> {
  const reader = new FrameReader()
  let beginning = ''
  for await (const piece of exec.output) {
    for (const {kind, payload} of reader.read(piece)) {
      if (kind === frameKind.control) {
        const {exit, error} = JSON.parse(Buffer.from(payload).toString()) as ControlMessage
        if (error) throw error.code === 'session_ended' ? problem('session_ended', {}) : new Error(error.message)
        if (!exit) continue
        const code = exit.code ?? 255
        return {code, beginning: notStarted.includes(code) ? beginning : ''}
      }
      if (beginning.length < rememberedBytes) beginning += Buffer.from(payload).toString('latin1', 0, rememberedBytes)
      await writeTo(kind === frameKind.stderr ? channel.stderr : channel, payload, gone)
    }
  }
  throw new Error('The stream ended without the exit code.')
}
