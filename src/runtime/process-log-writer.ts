import {closeSync, existsSync, fstatSync, openSync, renameSync, writeSync} from 'node:fs'
import {timeOfNs} from './json-log.ts'

/** As Docker does it: three files of 10 MB, and lines cut at 16 KiB. */
const maxFileBytes = 10_000_000
const maxFiles = 3
const maxTextBytes = 16 * 1024

type Stream = 'stdout' | 'stderr'

/**
 * Writes output line by line in Docker's json-file format. Writes at once: what a program printed is in the file when
 * it has ended, and a slow disk slows the program. Where the disk is full, output is dropped and the program goes on.
 */
export class ProcessLogWriter {
  readonly #path: string
  #file: number
  #bytes: number
  #lastNs = 0n
  #second = -1n
  #secondText = ''
  readonly #rest: Record<Stream, Buffer> = {stdout: Buffer.alloc(0), stderr: Buffer.alloc(0)}

  constructor(path: string) {
    this.#path = path
    this.#file = openSync(path, 'a', 0o600)
    this.#bytes = fstatSync(this.#file).size
  }

  write(stream: Stream, piece: Buffer): void {
    let bytes = this.#rest[stream].length > 0 ? Buffer.concat([this.#rest[stream], piece]) : piece
    const records: string[] = []
    for (;;) {
      const newline = bytes.subarray(0, maxTextBytes).indexOf(0x0a)
      if (newline === -1 && bytes.length < maxTextBytes) break
      const end = newline === -1 ? characterBoundary(bytes, maxTextBytes) : newline + 1
      records.push(this.#record(stream, bytes.subarray(0, end)))
      bytes = bytes.subarray(end)
    }
    this.#rest[stream] = Buffer.from(bytes)
    this.#append(records.join(''))
  }

  /** Writes what has no newline at its end, and closes. */
  close(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this.#rest[stream].length > 0) this.#append(this.#record(stream, this.#rest[stream]))
    }
    closeSync(this.#file)
  }

  #record(stream: Stream, text: Buffer): string {
    return `{"log":${JSON.stringify(text.toString())},"stream":"${stream}","time":"${this.#time()}"}\n`
  }

  /** No two lines have the same time, so that a reader can go on one nanosecond after the last it has seen. */
  #time(): string {
    const now = BigInt(Math.floor((performance.timeOrigin + performance.now()) * 1000)) * 1000n
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n
    const second = this.#lastNs / 1_000_000_000n
    if (second !== this.#second) {
      this.#second = second
      this.#secondText = timeOfNs(this.#lastNs).slice(0, 20)
    }
    return `${this.#secondText}${String(this.#lastNs % 1_000_000_000n).padStart(9, '0')}Z`
  }

  #append(text: string): void {
    if (text === '') return
    try {
      if (this.#bytes >= maxFileBytes) this.#rotate()
      this.#bytes += writeSync(this.#file, text)
    } catch {
      // the disk is full: the program matters more than its output
    }
  }

  #rotate(): void {
    closeSync(this.#file)
    for (let number = maxFiles - 1; number > 0; number--) {
      const older = number === 1 ? this.#path : `${this.#path}.${number - 1}`
      if (existsSync(older)) renameSync(older, `${this.#path}.${number}`)
    }
    this.#file = openSync(this.#path, 'a', 0o600)
    this.#bytes = 0
  }
}

/** Never cuts inside a UTF-8 character. */
function characterBoundary(bytes: Buffer, at: number): number {
  let end = at
  while (end > at - 4 && end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return end
}
