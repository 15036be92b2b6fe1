import type {ExecQuery} from '../contract/agent-protocol.ts'
import {type ControlMessage, encodeControl, FrameReader, frameKind} from '../contract/frames.ts'
import {type AgentCall, CallProblem} from '../link/routes.ts'
import type {ExecSession, ExecSpec, RuntimeDriver} from '../runtime/driver.ts'
import {write} from './call-output.ts'
import {frames} from './log-stream.ts'

/**
 * Runs a process in a container with both directions open. The end of the caller's input is the end of the process's
 * input; the end of the call is the end of the process.
 */
export async function runExec(call: AgentCall, driver: RuntimeDriver): Promise<void> {
  const session = await driver.exec(call.params.id ?? '', readSpec(call))
  const kill = () => void session.kill().catch(() => {})
  session.exited.catch(() => {}) // seen below, or the call is over
  for (const stream of [session.stdin, session.stdout, session.stderr]) stream.on('error', () => {})
  call.onClose(kill)
  const output = call.respondStream(200, 'application/vnd.gpuctl.frames')
  feed(call.stream, session).catch(kill)
  const pump = async (from: AsyncIterable<Uint8Array>, kind: 1 | 2) => {
    for await (const piece of from) for (const frame of frames(kind, piece)) await write(output, frame)
  }
  await Promise.all([pump(session.stdout, frameKind.stdout), pump(session.stderr, frameKind.stderr)])
  output.end(encodeControl({exit: {code: await session.exited, reason: ''}}))
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
async function feed(input: AsyncIterable<Uint8Array>, session: ExecSession): Promise<void> {
  const {stdin} = session
  const reader = new FrameReader()
  for await (const piece of input) {
    for (const {kind, payload} of reader.read(piece)) {
      if (kind === frameKind.stdin) await write(stdin, payload).catch(() => {})
      if (kind !== frameKind.control) continue
      const message = JSON.parse(Buffer.from(payload).toString()) as ControlMessage
      if (message.resize) await session.resize(message.resize.rows, message.resize.columns).catch(() => {})
      if (message.eof) stdin.end()
    }
  }
  stdin.end()
}
