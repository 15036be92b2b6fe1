import {type FSWatcher, watch} from 'node:fs'
import {type FileHandle, open, stat} from 'node:fs/promises'
import type {LogChunk, LogOptions} from './driver.ts'
import {backslashFinder, type JsonLogRecord, parseJsonLogLine, timeOfNs} from './json-log.ts'

const readBytes = 256 * 1024
const chunkBytes = 64 * 1024
/** `2026-11-21T07:00:00.123456789Z ` */
const stampBytes = 31
const newline = 0x0a
/** A record that is longer is damaged: writers cut lines at 16 KiB. */
const longestRecordBytes = 1024 * 1024
/** A watch can miss a change. */
const lookAgainMs = 250
/** Rotated files that are looked for: `.1` is the newest. */
const mostRotated = 9

export interface JsonLogSource {
  /** The current file; older ones are `path.1`, `path.2`, … */
  path: string
  /** For following: whether the writer has finished, asked before a last read. */
  hasEnded: () => Promise<boolean>
}

/** Reads a log in Docker's json-file format, rotated files included. Memory is bounded; the reader sets the pace. */
export async function* readJsonLog(
  source: JsonLogSource,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<LogChunk> {
  const wanted = selector(options)
  let first = 0
  // Lines that are written while the tail is read belong to it only when following.
  let end = Number.POSITIVE_INFINITY
  if (options.tail !== undefined) {
    const counter = new LineCounter()
    for await (const batch of records(source, false, signal)) for (const record of batch) counter.lineOf(record)
    first = counter.lines - options.tail
    if (!options.follow) end = counter.lines
  }
  const counter = new LineCounter()
  const packer = new ChunkPacker(options.timestamps)
  for await (const batch of records(source, options.follow, signal)) {
    for (const record of batch) {
      const line = counter.lineOf(record)
      if (line < first) continue
      const verdict = line >= end ? 'end' : wanted(record)
      if (verdict === 'skip') continue
      const full = verdict === 'end' ? packer.take() : packer.add(record)
      if (full) yield full
      if (verdict === 'end') return
    }
    const rest = packer.take()
    if (rest) yield rest
  }
}

function selector({sinceNs, untilNs, stdout, stderr}: LogOptions): (record: JsonLogRecord) => 'take' | 'skip' | 'end' {
  const since = sinceNs === undefined ? undefined : timeOfNs(sinceNs)
  const until = untilNs === undefined ? undefined : timeOfNs(untilNs)
  return ({stream, time}) => {
    if (until !== undefined && time() > until) return 'end'
    if (since !== undefined && time() < since) return 'skip'
    return (stream === 'stdout' ? stdout : stderr) ? 'take' : 'skip'
  }
}

/** Tells lines from their later pieces, of two streams that are mixed. */
class LineCounter {
  lines = 0
  readonly #open: Record<LogChunk['stream'], number | undefined> = {stdout: undefined, stderr: undefined}

  /** The number of the line, from 0, that this record begins or goes on with. */
  lineOf({stream, endsLine}: JsonLogRecord): number {
    const line = this.#open[stream] ?? this.lines++
    this.#open[stream] = endsLine ? undefined : line
    return line
  }
}

/** Gathers records of one stream up to 64 KiB. A timestamp stands before each line, not before its later pieces. */
class ChunkPacker {
  readonly #timestamps: boolean
  #stream: LogChunk['stream'] = 'stdout'
  #buffer = Buffer.allocUnsafeSlow(chunkBytes)
  #bytes = 0
  readonly #inLine = {stdout: false, stderr: false}

  constructor(timestamps: boolean) {
    this.#timestamps = timestamps
  }

  /** Returns what was gathered before, when this record does not fit to it. */
  add({stream, source, from, to, endsLine, time}: JsonLogRecord): LogChunk | undefined {
    const needed = to - from + 1 + (this.#timestamps ? stampBytes : 0)
    const full = stream !== this.#stream || this.#bytes + needed > this.#buffer.length ? this.take() : undefined
    if (needed > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(needed)
    this.#stream = stream
    if (this.#timestamps && !this.#inLine[stream])
      this.#bytes += this.#buffer.write(`${time()} `, this.#bytes, 'latin1')
    this.#bytes += source.copy(this.#buffer, this.#bytes, from, to)
    if (endsLine) this.#buffer[this.#bytes++] = newline
    this.#inLine[stream] = !endsLine
    return full
  }

  take(): LogChunk | undefined {
    if (this.#bytes === 0) return undefined
    const data = this.#buffer.subarray(0, this.#bytes)
    this.#buffer = Buffer.allocUnsafeSlow(chunkBytes)
    this.#bytes = 0
    return {stream: this.#stream, data}
  }
}

/** All records, oldest first, as many at a time as a read brought. */
async function* records(
  {path, hasEnded}: JsonLogSource,
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<JsonLogRecord[]> {
  let file = await openOldest(path)
  const changes = follow ? new Changes(path) : undefined
  const lines = new LineSplitter()
  try {
    while (!signal.aborted) {
      const ended = follow ? await hasEnded() : true // asked before the read, so that nothing comes after it
      file ??= await openOldest(path)
      if (file) {
        yield* readOn(file, lines, signal)
        const newer = await openNewer(path, file)
        if (newer) {
          yield* readOn(file, lines, signal) // what was written between our last read and the rotation
          await file.close()
          file = newer
          continue
        }
      }
      if (ended) return
      await changes?.next(signal)
    }
  } finally {
    changes?.close()
    await file?.close()
  }
}

async function* readOn(file: FileHandle, lines: LineSplitter, signal: AbortSignal): AsyncGenerator<JsonLogRecord[]> {
  while (!signal.aborted) {
    const buffer = Buffer.allocUnsafeSlow(readBytes) // a new one each time, since records point into it
    const {bytesRead} = await file.read(buffer, 0, readBytes, null)
    if (bytesRead === 0) return
    yield lines.split(buffer.subarray(0, bytesRead))
  }
}

class LineSplitter {
  #rest: Buffer = Buffer.alloc(0)

  /** The records of all whole lines; the last line, which is cut, is kept for the next piece. */
  split(read: Buffer): JsonLogRecord[] {
    const piece = this.#rest.length > 0 ? Buffer.concat([this.#rest, read]) : read
    const firstBackslash = backslashFinder(piece)
    const records: JsonLogRecord[] = []
    let from = 0
    for (let end = piece.indexOf(newline); end !== -1; end = piece.indexOf(newline, from)) {
      const record = parseJsonLogLine(piece, from, end, firstBackslash)
      if (record) records.push(record)
      from = end + 1
    }
    const left = piece.subarray(from)
    this.#rest = left.length > longestRecordBytes ? Buffer.alloc(0) : Buffer.from(left)
    return records
  }
}

const numbered = (path: string, number: number) => (number === 0 ? path : `${path}.${number}`)

async function openOldest(path: string): Promise<FileHandle | undefined> {
  let found: FileHandle | undefined
  for (let number = 0; number <= mostRotated; number++) {
    const older = await openIfThere(numbered(path, number))
    if (!older) {
      if (number > 0) break
      continue
    }
    await found?.close()
    found = older
  }
  return found
}

/** The file that follows this one, by inode, since a rotation renames. */
async function openNewer(path: string, file: FileHandle): Promise<FileHandle | undefined> {
  const {ino} = await file.stat()
  for (let number = 0; number <= mostRotated; number++) {
    const found = await stat(numbered(path, number)).catch(() => undefined)
    if (!found && number > 0) break
    if (found?.ino === ino) return number === 0 ? undefined : openIfThere(numbered(path, number - 1))
  }
  return openOldest(path) // rotated away while nobody looked
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  return open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

/** Wakes when the log's folder changes, and now and then anyway. */
class Changes {
  #watcher: FSWatcher | undefined
  #wake: () => void = () => {}
  #changed = false

  constructor(path: string) {
    try {
      this.#watcher = watch(path.replace(/\/[^/]*$/, ''), () => {
        this.#changed = true
        this.#wake()
      })
      this.#watcher.on('error', () => {})
    } catch {
      // too many watches, or the folder is gone: the timer is left
    }
  }

  next(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#wake = () => {}
        this.#changed = false
        resolve()
      }
      const timer = setTimeout(done, lookAgainMs)
      this.#wake = done
      signal.addEventListener('abort', done, {once: true})
      if (this.#changed || signal.aborted) done()
    })
  }

  close(): void {
    this.#watcher?.close()
  }
}
