import {type ChildProcessByStdio, spawn} from 'node:child_process'
import {once} from 'node:events'
import type {Readable, Writable} from 'node:stream'
import {pipeline} from 'node:stream/promises'
import {type StorageCommand, StorageError} from '../driver.ts'
import {asWords, environment, refusal} from '../run.ts'

type Program = ChildProcessByStdio<Writable, Readable, Readable>

/** flock, of a program that is not there. */
const cannotRun = 69
/** So much of what a program complains about is kept. */
const maxWords = 8 * 1024

/**
 * Programs one behind the other, each reading what the one before wrote; `content` goes into the first one. Yields what
 * the last one writes. Throws StorageError with the words of the first that failed; all have ended then. The last one holds
 * the file `lock` locked for as long as it lives, also when this process is killed.
 */
export async function* throughPrograms(
  commands: readonly StorageCommand[],
  {content, signal, lock}: {content?: AsyncIterable<Uint8Array>; signal: AbortSignal; lock?: string},
): AsyncGenerator<Buffer> {
  signal.throwIfAborted()
  const stop = new AbortController()
  const cut = AbortSignal.any([signal, stop.signal])
  const programs = commands.map((command, at) => start(command, cut, at === commands.length - 1 ? lock : undefined))
  const last = programs.at(-1)
  if (!last) throw new RangeError('There is nothing to run.')
  const feeding = feed(programs, content, cut)
  // A reader who has ended (a full disk) breaks the pipe; the program that ended says why.
  const fed = feeding.catch((error: unknown) => error)
  try {
    for await (const piece of last.child.stdout) yield piece as Buffer
    const broken = await fed
    for (const program of programs) await program.ended
    if (broken) throw broken
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    stop.abort()
    await Promise.allSettled(programs.map(program => program.ended))
  }
}

async function feed(
  programs: readonly {child: Program; ended: Promise<void>}[],
  content: AsyncIterable<Uint8Array> | undefined,
  signal: AbortSignal,
): Promise<void> {
  const [first, ...rest] = programs
  if (!first) return
  const links: Promise<void>[] = []
  let isFed = content === undefined
  const counted = async function* (source: AsyncIterable<Uint8Array>) {
    yield* source
    isFed = true
  }
  if (content) links.push(pipeline(counted(content), first.child.stdin, {signal}))
  else first.child.stdin.end()
  let before = first
  for (const next of rest) {
    links.push(pipeline(before.child.stdout, next.child.stdin, {signal}))
    before = next
  }
  const ends = await Promise.allSettled(links)
  // A source that says what is wrong with it knows more than the programs that it broke.
  for (const end of ends) if (end.status === 'rejected' && end.reason instanceof StorageError) throw end.reason
  for (const program of programs) await program.ended
  // All programs ended well. One that has read all may be gone before its input has finished: that is no failure.
  for (const end of ends) if (end.status === 'rejected' && !(isFed && isEarlyClose(end.reason))) throw end.reason
}

function isEarlyClose(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ERR_STREAM_PREMATURE_CLOSE'
}

function start(
  {file, args}: StorageCommand,
  signal: AbortSignal,
  lock: string | undefined,
): {child: Program; ended: Promise<void>} {
  const words = ['-i', ...asWords(environment), ...(lock === undefined ? [] : ['flock', lock]), file, ...args]
  const child = spawn('/usr/bin/env', words, {stdio: ['pipe', 'pipe', 'pipe']})
  const kill = () => void child.kill('SIGKILL')
  signal.addEventListener('abort', kill, {once: true})
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(0, maxWords)
  })
  child.stdin.on('error', () => {}) // told by the pipeline
  const ended = (async () => {
    const [code] = (await once(child, 'close')) as [number | null]
    signal.removeEventListener('abort', kill)
    if (code === 0) return
    if (code === 127 || (lock !== undefined && code === cannotRun))
      throw new StorageError('unavailable', `${file} is not installed.`)
    throw refusal(file, args, {stdout: '', stderr: said, code: code ?? 137})
  })()
  ended.catch(() => {}) // awaited by who reads
  return {child, ended}
}
