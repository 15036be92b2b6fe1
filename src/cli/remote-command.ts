import {constants} from 'node:os'
import {UnreachableError} from '../client/api-error.ts'
import type {Terminal} from '../client/terminal.ts'
import {type ControlMessage, encodeControl, encodeFrame, frameKind} from '../contract/frames.ts'
import {DetachWatch} from './detach-keys.ts'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {write} from './output/machine.ts'

const passed = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface RemoteCommand {
  /** Opens it; gets the size of our terminal. */
  open: (size: {rows?: number; columns?: number}) => Promise<Terminal>
  tty: boolean
  stdin: boolean
  detachKeys: readonly number[]
}

/**
 * Joins a command in an instance with our own streams and answers its exit code; undefined when the person detached.
 * With `tty` our terminal is raw until it ends, however it ends. Signals are passed on; a second one ends this program.
 * Throws Failure with exit 255 when the connection breaks.
 */
export async function runRemotely({open, tty, stdin, detachKeys}: RemoteCommand): Promise<number | undefined> {
  const {stdout} = process
  if (tty && !process.stdin.isTTY) throw usageError('Standard input is no terminal.', 'Leave out -t.')
  const terminal = await open(tty ? {rows: stdout.rows, columns: stdout.columns} : {})
  const resize = () => void sendControl(terminal, {resize: {rows: stdout.rows, columns: stdout.columns}})
  const stopPassing = passSignals(terminal)
  const restore = tty ? makeRaw() : () => {}
  if (tty) stdout.on('resize', resize)
  const left = new AbortController()
  try {
    if (stdin) void sendInput(terminal, new DetachWatch(tty ? detachKeys : []), left)
    return await readOutput(terminal, left.signal)
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error
    throw new Failure('connection_lost', 'The connection to the instance broke.', {exitCode: exitCode.transport})
  } finally {
    stopPassing()
    stdout.off('resize', resize)
    restore()
    process.stdin.destroy()
    terminal.close()
  }
}

/** The terminal is itself again also when the program ends in another way. */
function makeRaw(): () => void {
  const restore = () => {
    process.off('exit', restore)
    if (!process.stdin.destroyed) process.stdin.setRawMode(false)
  }
  process.on('exit', restore)
  process.stdin.setRawMode(true)
  return restore
}

function passSignals(terminal: Terminal): () => void {
  let count = 0
  const handlers = passed.map(name => {
    const pass = () => {
      if (count++ > 0) process.exit(128 + constants.signals[name])
      void sendControl(terminal, {signal: name})
    }
    process.on(name, pass)
    return () => process.off(name, pass)
  })
  return () => {
    for (const stop of handlers) stop()
  }
}

async function readOutput({frames}: Terminal, left: AbortSignal): Promise<number | undefined> {
  for await (const {kind, payload} of frames) {
    if (kind === frameKind.stdout) await write(process.stdout, payload)
    else if (kind === frameKind.stderr) await write(process.stderr, payload)
    else if (kind === frameKind.control) {
      const {exit, error} = JSON.parse(Buffer.from(payload).toString('utf8')) as ControlMessage
      if (error) throw new Failure(error.code, error.message)
      if (exit) return exit.code ?? exitCode.failure
    }
  }
  if (left.aborted) return undefined
  throw new Failure('connection_lost', 'The connection to the instance ended early.', {exitCode: exitCode.transport})
}

/** Sends no faster than the socket takes it. */
async function sendInput(terminal: Terminal, watch: DetachWatch, left: AbortController): Promise<void> {
  try {
    for await (const piece of process.stdin as AsyncIterable<Buffer>) {
      const {pass, hasLeft} = watch.read(piece)
      if (pass.length > 0) await terminal.send(encodeFrame(frameKind.stdin, pass))
      if (!hasLeft) continue
      left.abort()
      return await terminal.send(encodeControl({detach: true})) // the other side closes when it knows
    }
    await terminal.send(encodeControl({eof: true}))
  } catch {
    // The command ended before its input did; its exit code says the rest.
  }
}

function sendControl(terminal: Terminal, message: ControlMessage): Promise<void> {
  return terminal.send(encodeControl(message)).catch(() => {})
}
