import {encodeControl, encodeFrame, frameKind} from '../../contract/frames.ts'
import type {ExecStream} from '../../domain/ports.ts'
import {failureOf} from './container-shell.ts'
import {ExecReader} from './exec-reader.ts'

/** Starts a process in the container, without a terminal. */
export type StartProcess = (command: string[]) => Promise<ExecStream>

/**
 * The content of one open file, as a stream: a client asks for one piece after the other, so one process serves a whole
 * file. A jump to another offset starts another process there.
 */
export class ContainerContent {
  readonly #start: StartProcess
  readonly #path: string
  #reading: {exec: ExecStream; reader: ExecReader; offset: number} | undefined
  #writing: {exec: ExecStream; ended: Promise<string>; offset: number} | undefined

  constructor(start: StartProcess, path: string) {
    this.#start = start
    this.#path = path
  }

  /** Empty at the end of the file. */
  async read(offset: number, length: number): Promise<Buffer> {
    if (this.#reading?.offset !== offset) {
      this.#reading?.exec.close()
      const exec = await this.#run(offset === 0 ? 'exec cat < "$path"' : `exec tail -c +${offset + 1} < "$path"`)
      await exec.write(encodeControl({eof: true}))
      this.#reading = {exec, reader: new ExecReader(exec), offset}
    }
    const bytes = await this.#reading.reader.take(length)
    this.#reading.offset += bytes.length
    return bytes
  }

  /** Throws SftpFailure when what came before could not be written. */
  async write(offset: number, bytes: Buffer, {append}: {append: boolean}): Promise<void> {
    if (!this.#writing || (!append && this.#writing.offset !== offset)) {
      await this.#finishWriting()
      const exec = await this.#run(append ? 'exec cat >> "$path"' : writeAt(offset))
      this.#writing = {exec, ended: endOf(exec), offset}
      this.#writing.ended.catch(() => {}) // told to whoever writes on, or closes
    }
    for (let from = 0; from < bytes.length; from += 65_536) {
      await this.#writing.exec.write(encodeFrame(frameKind.stdin, bytes.subarray(from, from + 65_536)))
    }
    this.#writing.offset += bytes.length
  }

  /** Resolves when all is written. Throws SftpFailure when it could not be. */
  async close(): Promise<void> {
    this.#reading?.exec.close()
    this.#reading = undefined
    await this.#finishWriting()
  }

  cut(): void {
    this.#reading?.exec.close()
    this.#writing?.exec.close()
  }

  async #finishWriting(): Promise<void> {
    const writing = this.#writing
    this.#writing = undefined
    if (!writing) return
    await writing.exec.write(encodeControl({eof: true}))
    const complaint = await writing.ended
    if (complaint !== '') throw failureOf(complaint)
  }

  /** Every byte but the plainest travels as an escape, since arguments are UTF-8 and names are bytes. */
  #run(script: string): Promise<ExecStream> {
    const path = this.#path.replace(
      /[^A-Za-z0-9/._-]/g,
      byte => `\\0${byte.charCodeAt(0).toString(8).padStart(3, '0')}`,
    )
    const line = `export LC_ALL=C; path=$(printf '%b_' "$1"); path=\${path%_}; ${script}`
    return this.#start(['/bin/sh', '-c', line, 'gpuctl', path])
  }
}

/** Not every dd can seek by bytes; where it cannot, it writes byte by byte. */
function writeAt(offset: number): string {
  const plain = 'exec dd of="$path" conv=notrunc bs=65536'
  if (offset === 0) return plain
  const canSeek = 'dd if=/dev/null of=/dev/null oflag=seek_bytes 2>/dev/null'
  const byByte = `exec dd of="$path" conv=notrunc bs=1 seek=${offset}`
  return `if ${canSeek}; then ${plain} oflag=seek_bytes seek=${offset}; else ${byByte}; fi`
}

/** '' when the process ended well, else what it complained of. */
async function endOf(exec: ExecStream): Promise<string> {
  const reader = new ExecReader(exec)
  while ((await reader.take(65_536)).length > 0);
  return reader.exitCode === 0 ? '' : reader.errors || 'Failure'
}
