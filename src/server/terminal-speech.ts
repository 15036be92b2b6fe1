import {encodeControl, FrameReader, frameKind} from '../contract/frames.ts'
import type {DomainError} from '../domain/errors.ts'

/** Close codes: those of RFC 6455, and our own above 4000. */
export const closeCode = {
  done: 1000,
  stopping: 1001,
  protocol: 1002,
  text: 1003,
  failed: 1011,
  idle: 4000,
  revoked: 4401,
}

/** How a family's terminals speak on their WebSocket; one of it for each socket. */
export interface TerminalSpeech {
  /** What a message of the client means: frames for the command, an answer, or nothing. Throws Unspoken. */
  read(message: Buffer, isBinary: boolean): {input?: Uint8Array; answer?: string}
  /** Bytes that the command sent (frames, cut anywhere) as messages for the client: text is sent as text. */
  show(bytes: Uint8Array): Iterable<string | Uint8Array>
  /** Last message after a failure. */
  fail(failure: DomainError): string | Uint8Array
}

/** The client says something that is none of the protocol: the socket is closed with this code. */
export class Unspoken extends Error {
  readonly closeCode: number

  constructor(code: number, reason: string) {
    super(reason)
    this.name = 'Unspoken'
    this.closeCode = code
  }
}

/** Of the native API: binary messages are frames (contract/frames.ts) both ways, and pass unchanged. */
export function frameSpeech(): TerminalSpeech {
  const reader = new FrameReader()
  return {
    read(message, isBinary) {
      if (!isBinary) throw new Unspoken(closeCode.text, 'binary frames only')
      if (!areInput(reader, message)) throw new Unspoken(closeCode.protocol, 'not a frame')
      return {input: message}
    },
    show: bytes => [bytes],
    fail: ({code, message}) => encodeControl({error: {code, message}}),
  }
}

function areInput(reader: FrameReader, bytes: Buffer): boolean {
  try {
    for (const {kind} of reader.read(bytes)) {
      if (kind !== frameKind.stdin && kind !== frameKind.control) return false
    }
    return true
  } catch {
    return false
  }
}
