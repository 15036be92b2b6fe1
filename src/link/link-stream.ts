import type {ClientHttp2Stream} from 'node:http2'
import {Duplex} from 'node:stream'
import {LinkError} from './link-error.ts'

/**
 * One stream of the link as a Duplex that ends well only when it is whole. Node's own stream also ends well when it was
 * reset with CANCEL or the session went, so that half a log would look like a log.
 */
export class LinkStream extends Duplex {
  readonly #stream: ClientHttp2Stream
  readonly #ownsInput: boolean

  constructor({
    stream,
    downReason,
    ownsInput,
  }: {
    stream: ClientHttp2Stream
    /** Why the link is down; undefined while it is up. */
    downReason: () => string | undefined
    /** False when another writer ends the stream's input. */
    ownsInput: boolean
  }) {
    super({highWaterMark: 256 * 1024})
    this.#stream = stream
    this.#ownsInput = ownsInput
    const cut = (cause?: unknown) => {
      const down = downReason()
      const message = down === undefined ? 'The other side ended the stream early.' : `The link went down: ${down}.`
      return new LinkError(down === undefined ? 'stream_reset' : 'link_down', message, {cause})
    }
    let whole = false
    this.on('error', () => {}) // a reader sees it anyway; without one it must not end the process
    stream.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) stream.pause()
    })
    stream.on('end', () => {
      whole = stream.rstCode === 0 && downReason() === undefined
      if (whole) this.push(null)
      else this.destroy(cut())
    })
    stream.on('error', error => void this.destroy(cut(error)))
    stream.on('close', () => {
      if (!whole) this.destroy(cut())
      else if (!this.writableFinished) this.end()
    })
  }

  override _read(): void {
    this.#stream.resume()
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // an ended stream was answered without being heard out; a destroyed one says so on the reading side
    if (this.#stream.destroyed || this.#stream.writableEnded || this.#stream.write(chunk, encoding)) {
      done()
      return
    }
    const go = () => {
      this.#stream.off('drain', go)
      this.#stream.off('close', go)
      done()
    }
    this.#stream.on('drain', go)
    this.#stream.on('close', go)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#ownsInput && !this.#stream.writableEnded) this.#stream.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const isWhole = this.readableEnded && error === null
    // Not `close` for what is not whole: it ends the stream first, and the agent would see a whole input.
    if (!isWhole) this.#stream.destroy(error ?? new Error('The reader left.'))
    else if (!this.#stream.writableEnded) this.#stream.close()
    done(error)
  }
}
