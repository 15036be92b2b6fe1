import type {IncomingMessage} from 'node:http'
import {type Frame, FrameReader} from '../contract/frames.ts'
import {UnreachableError} from './api-error.ts'
import type {Target} from './message.ts'

/** Cuts an open answer into frames; reads no faster than its reader. Throws UnreachableError when it is cut. */
export async function* readFrames(target: Target, answer: IncomingMessage): AsyncGenerator<Frame> {
  const reader = new FrameReader()
  for await (const piece of readPieces(target, answer)) yield* reader.read(piece)
}

/** An open answer as it comes; reads no faster than its reader. Throws UnreachableError when it is cut. */
export async function* readPieces(target: Target, answer: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) yield piece
  } catch (error) {
    throw new UnreachableError(target.server, error as NodeJS.ErrnoException)
  } finally {
    answer.destroy()
  }
}
