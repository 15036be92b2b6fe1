import type {ExecQuery} from '../contract/agent-protocol.ts'
import {type ControlMessage, encodeControl, FrameReader, frameKind} from '../contract/frames.ts'
import {type AgentCall, CallProblem} from '../link/routes.ts'
import type {ExecSession, ExecSignal, ExecSpec, RuntimeDriver} from '../runtime/driver.ts'
import {write} from './call-output.ts'
import {frames} from './log-stream.ts'

/** Whether the caller said that the command is to run on without him. */
class Place {
  isLeft = false
  readonly #output: NodeJS.WritableStream

  constructor(output: NodeJS.WritableStream) {
    this.#output = output
  }

  /** The end of the output tells the caller that he may go. */
  leave(): void {
    this.isLeft = true
    this.#output.end()
  }
}

/**
 * Runs a process in a container with both directions open. The end of the caller's input is the end of the process's
 * input; the end of the call is the end of the process, unless the caller detached.
 */
export async function runExec(call: AgentCall, driver: RuntimeDriver): Promise<void> {
  const session = await driver.exec(call.params.id ?? '', readSpec(call))
  const kill = () => void session.kill().catch(() => {})
  session.exited.catch(() => {}) // seen below, or the call is over
  for (const stream of [session.stdin, session.stdout, session.stderr]) stream.on('error', () => {})
  const output = call.respondStream(200, 'application/vnd.gpuctl.frames')
  const place = new Place(output)
  call.onClose(() => {
    if (!place.isLeft) kill()
  })
  feed(call.stream, session, place).catch(() => {
    if (!place.isLeft) kill()
  })
  const pump = async (from: AsyncIterable<Uint8Array>, kind: 1 | 2) => {
    for await (const piece of from) {
      if (place.isLeft) continue // read on, or the command would wait for a reader for ever
      for (const frame of frames(kind, piece)) await write(output, frame).catch(unlessLeft(place))
    }
  }
  await Promise.all([pump(session.stdout, frameKind.stdout), pump(session.stderr, frameKind.stderr)])
  if (!place.isLeft) output.end(encodeControl({exit: {code: await session.exited, reason: ''}}))
}

function readSpec({headers}: AgentCall): ExecSpec {
  try {
    const text = Buffer.from(String(headers['x-gpuctl-exec']), 'base64url').toString()
    const {rows, columns, ...query} = JSON.parse(text) as ExecQuery
    if (!Array.isArray(query.command) || query.command.length === 0) throw new TypeError('no command')
    return {...query, size: rows && columns ? {rows, columns} : undefined}
  } catch (error) {
    throw new CallProblem(400, 'invalid', `The header x-gpuctl-exec cannot be read: ${String(error)}`)
  }
}

/** Input and window sizes to the process. What a process does not want to read any more is dropped. Rejects when the caller is cut off. */
async function feed(input: AsyncIterable<Uint8Array>, session: ExecSession, place: Place): Promise<void> {
  const {stdin} = session
  const reader = new FrameReader()
  for await (const piece of input) {
    for (const {kind, payload} of reader.read(piece)) {
      if (kind === frameKind.stdin) await write(stdin, payload).catch(() => {})
      if (kind !== frameKind.control) continue
      const message = JSON.parse(Buffer.from(payload).toString()) as ControlMessage
      if (message.resize) await session.resize(message.resize.rows, message.resize.columns).catch(() => {})
      if (message.signal && isSignal(message.signal)) await session.signal(message.signal).catch(() => {})
      if (message.detach) place.leave()
      if (message.eof) stdin.end()
    }
  }
  if (!place.isLeft) stdin.end()
}

function unlessLeft(place: Place): (error: unknown) => void {
  return error => {
    if (!place.isLeft) throw error
  }
}

function isSignal(name: string): name is ExecSignal {
  return ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'].includes(name)
}
