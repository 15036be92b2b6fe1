import {UnreachableError} from '../client/api-error.ts'
import type {Client} from '../client/client.ts'
import type {Terminal} from '../client/terminal.ts'
import type {InputOf} from '../contract/contract.ts'
import {type ControlMessage, encodeControl, encodeFrame, frameKind} from '../contract/frames.ts'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {write} from './output/machine.ts'

/**
 * Runs a command in an instance with our own streams and answers its exit code. With `tty` the terminal is raw until it
 * ends, however it ends. Throws Failure with exit 255 when the connection breaks.
 */
export async function runRemotely(client: Client, input: InputOf<'instances.exec'>): Promise<number> {
  const {stdin, stdout} = process
  if (input.tty && !stdin.isTTY) throw usageError('Standard input is no terminal.', 'Leave out -t.')
  const size = input.tty ? {rows: stdout.rows, columns: stdout.columns} : {}
  const terminal = await client.terminal('instances.exec', {...input, ...size})
  const resize = () => void sendControl(terminal, {resize: {rows: stdout.rows, columns: stdout.columns}})
  const signals = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map(name => {
    const pass = () => void sendControl(terminal, {signal: name})
    process.on(name, pass)
    return () => process.off(name, pass)
  })
  if (input.tty) {
    stdin.setRawMode(true)
    stdout.on('resize', resize)
  }
  try {
    if (input.stdin) void sendInput(terminal)
    return await readOutput(terminal)
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error
    throw new Failure('connection_lost', 'The connection to the instance broke.', {exitCode: exitCode.transport})
  } finally {
    for (const stop of signals) stop()
    stdout.off('resize', resize)
    if (input.tty) stdin.setRawMode(false)
    stdin.destroy()
    terminal.close()
  }
}

async function readOutput({frames}: Terminal): Promise<number> {
  for await (const {kind, payload} of frames) {
    if (kind === frameKind.stdout) await write(process.stdout, payload)
    else if (kind === frameKind.stderr) await write(process.stderr, payload)
    else if (kind === frameKind.control) {
      const {exit, error} = JSON.parse(Buffer.from(payload).toString('utf8')) as ControlMessage
      if (error) throw new Failure(error.code, error.message)
      if (exit) return exit.code ?? exitCode.failure
    }
  }
  throw new Failure('connection_lost', 'The connection to the instance ended early.', {exitCode: exitCode.transport})
}

/** Sends no faster than the socket takes it. */
async function sendInput(terminal: Terminal): Promise<void> {
  try {
    for await (const piece of process.stdin as AsyncIterable<Buffer>)
      await terminal.send(encodeFrame(frameKind.stdin, piece))
    await terminal.send(encodeControl({eof: true}))
  } catch {
    // The command ended before its input did; its exit code says the rest.
  }
}

function sendControl(terminal: Terminal, message: ControlMessage): Promise<void> {
  return terminal.send(encodeControl(message)).catch(() => {})
}
