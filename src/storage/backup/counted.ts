import {createHash} from 'node:crypto'
import type {BackupPiece} from '../../contract/storage-protocol.ts'
import {StorageError} from '../driver.ts'
import {backupName} from '../grammar.ts'
import type {JobResult} from './jobs.ts'
import {openTarget} from './targets.ts'

export type Report = (bytes: number) => void

/** Size and SHA-256 of what passes. */
export class Counted {
  readonly #source: AsyncIterable<Uint8Array>
  readonly #report: Report
  readonly #hash = createHash('sha256')
  #sizeBytes = 0

  constructor(source: AsyncIterable<Uint8Array>, report: Report) {
    this.#source = source
    this.#report = report
  }

  async *content(): AsyncGenerator<Buffer> {
    for await (const piece of this.#source) {
      this.#hash.update(piece)
      this.#sizeBytes += piece.length
      this.#report(piece.length)
      yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    }
  }

  result(): JobResult {
    return {sizeBytes: this.#sizeBytes, checksum: this.#hash.digest('hex')}
  }
}

/** The file's bytes; throws at their end when they are not those that were written. */
export async function* checked(piece: BackupPiece, report: Report, signal: AbortSignal): AsyncGenerator<Buffer> {
  const target = await openTarget(piece.target)
  const counted = new Counted(target.read(backupName(piece.filename), {signal}), report)
  yield* counted.content()
  const {sizeBytes, checksum} = counted.result()
  if (sizeBytes === piece.sizeBytes && checksum === piece.checksum) return
  const found =
    sizeBytes === piece.sizeBytes ? 'other bytes than were written' : `${sizeBytes} of ${piece.sizeBytes} bytes`
  throw new StorageError('failed', `${piece.filename} is damaged: it has ${found}.`)
}
