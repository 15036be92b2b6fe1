import {encodeControl} from '../contract/frames.ts'
import {problem} from './errors.ts'
import type {ExecStream} from './ports.ts'
import type {OpenSession, SessionEnd, SessionStart} from './session.ts'

/** An exec that is a session of its own: counted, listed, and ended from outside with words to its client. */
export async function trackedExec(
  start: Omit<SessionStart, 'bytes' | 'end'>,
  openSession: (start: SessionStart) => Promise<OpenSession>,
  openStream: () => Promise<ExecStream>,
): Promise<ExecStream> {
  const bytes = {in: 0, out: 0}
  let ended: SessionEnd | undefined
  let stream: ExecStream | undefined
  const end = (why: SessionEnd) => {
    ended = why
    stream?.close()
  }
  const session = await openSession({...start, bytes: () => bytes, end})
  try {
    stream = await openStream()
  } catch (error) {
    session.close()
    throw error
  }
  if (ended) stream.close()
  return {
    output: output(stream),
    write(frame) {
      bytes.in += frame.length
      return stream.write(frame)
    },
    close() {
      stream.close()
      session.close()
    },
  }

  async function* output(from: ExecStream): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of from.output) {
        bytes.out += piece.length
        yield piece
      }
    } catch (error) {
      if (!ended) throw error
    } finally {
      session.close()
    }
    const {code, message} = problem('session_ended', {})
    if (ended) yield encodeControl({error: {code, message}})
  }
}
