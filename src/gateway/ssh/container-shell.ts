import {randomBytes} from 'node:crypto'
import {encodeFrame, frameKind} from '../../contract/frames.ts'
import type {ExecStream} from '../../domain/ports.ts'
import type {ExecReader} from './exec-reader.ts'
import {SftpFailure, statusCode} from './sftp-wire.ts'

/** A directory with so many names is not listed whole. */
const mostOutputBytes = 64 * 1024 * 1024

/** One shell in the container that runs small commands, one after the other: a process for each would take 50 ms. */
export class ContainerShell {
  readonly #exec: ExecStream
  readonly #reader: ExecReader
  /** What no output can hold by chance. */
  readonly mark = randomBytes(12).toString('hex')

  constructor(exec: ExecStream, reader: ExecReader) {
    this.#exec = exec
    this.#reader = reader
  }

  /** The command's output, latin1. Throws SftpFailure by the words of its complaint. */
  async run(command: string): Promise<string> {
    const line = `{ ${command}\n} </dev/null 2>&1; printf '\\n${this.mark}=%d\\n' $?\n`
    await this.#exec.write(encodeFrame(frameKind.stdin, Buffer.from(line, 'latin1')))
    const output = await this.#reader.takeUntil(`\n${this.mark}=`, mostOutputBytes)
    const code = await this.#reader.takeUntil('\n', 16)
    if (!output || !code) throw new Error('The shell in the container ended.')
    const text = output.toString('latin1')
    if (code.toString() !== '0') throw failureOf(text)
    return text
  }

  close(): void {
    this.#exec.close()
  }
}

/** Inside single quotes a shell changes nothing. A relative path never looks like an option. */
export function quoted(path: string): string {
  return `'${(path.startsWith('/') ? path : `./${path}`).replaceAll("'", "'\\''")}'`
}

/** By the words of strerror(3) in the C locale. */
export function failureOf(complaint: string): SftpFailure {
  const words = complaint.trim().split('\n').at(-1) ?? ''
  if (/No such file|nonexistent|can't cd|not found/i.test(complaint)) return new SftpFailure(statusCode.missing, words)
  if (/Permission denied|not permitted|Read-only/i.test(complaint)) return new SftpFailure(statusCode.denied, words)
  return new SftpFailure(statusCode.failure, words || 'Failure')
}
