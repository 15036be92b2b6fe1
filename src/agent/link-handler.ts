import {agentRoutes, type Desired, type ExecQuery} from '../contract/agent-protocol.ts'
import {encodeControl, encodeFrame, FrameReader, frameKind} from '../contract/frames.ts'
import {type AgentCall, createAgentRouter} from '../link/routes.ts'
import type {LogOptions} from '../runtime/driver.ts'
import type {Agent} from './agent.ts'
import {frameLogs, frameLogsWithBookmarks} from './log-stream.ts'

/** Largest desired state that is read: some thousand instances. */
const maxDesiredBytes = 32 * 1024 * 1024

/**
 * What the agent answers on one link. Make one for each link: of the wishes that come over it an older one than the
 * last is ignored.
 */
export function createLinkHandler(agent: Agent): ReturnType<typeof createAgentRouter> {
  let revision = -1
  return createAgentRouter({
    [agentRoutes.ping]: call => call.respondJson(200, {pong: true}),
    [agentRoutes.setDesired]: async call => {
      const desired = (await call.readJson(maxDesiredBytes)) as Desired
      if (desired.revision >= revision) {
        revision = desired.revision
        await agent.setDesired(desired)
      }
      call.respondJson(200, {revision})
    },
    [agentRoutes.reports]: call => sendLines(call, agent.reports(abortOnClose(call))),
    [agentRoutes.logs]: call => sendLogs(call, agent),
    [agentRoutes.stats]: call => sendLines(call, agent.driver.stats(call.params.id ?? '', abortOnClose(call))),
    [agentRoutes.exec]: call => runExec(call, agent),
  })
}

function abortOnClose(call: AgentCall): AbortSignal {
  const controller = new AbortController()
  call.onClose(() => controller.abort())
  return controller.signal
}

async function sendLines(call: AgentCall, values: AsyncIterable<unknown>): Promise<void> {
  const output = call.respondStream(200, 'application/x-ndjson')
  for await (const value of values) await write(output, `${JSON.stringify(value)}\n`)
  output.end()
}

async function sendLogs(call: AgentCall, agent: Agent): Promise<void> {
  const {query} = call
  const number = (name: string) => (query.get(name) === null ? undefined : Number(query.get(name)))
  const nanoseconds = (name: string) => (query.get(name) === null ? undefined : BigInt(query.get(name) ?? ''))
  const follow = query.get('follow') === 'true'
  const timestamps = query.get('timestamps') === 'true'
  const options: LogOptions = {
    follow,
    tail: number('tail'),
    sinceNs: nanoseconds('sinceNs'),
    untilNs: nanoseconds('untilNs'),
    timestamps: follow || timestamps,
    stdout: query.get('stdout') !== 'false',
    stderr: query.get('stderr') !== 'false',
  }
  const id = call.params.id ?? ''
  const chunks = agent.driver.logs(id, options, abortOnClose(call))
  const frames = follow ? frameLogsWithBookmarks(chunks, timestamps) : frameLogs(chunks)
  const output = call.respondStream(200, 'application/vnd.gpuctl.frames')
  for await (const frame of frames) await write(output, frame)
  if (follow) {
    const found = await agent.driver.inspect(id)
    output.write(encodeControl({exit: {code: found?.exitCode ?? null, reason: found?.oomKilled ? 'OutOfMemory' : ''}}))
  }
  output.end()
}

async function runExec(call: AgentCall, agent: Agent): Promise<void> {
  const request = JSON.parse(Buffer.from(String(call.headers['x-gpuctl-exec']), 'base64url').toString()) as ExecQuery
  const {rows, columns} = request
  const size = rows && columns ? {rows, columns} : undefined
  const session = await agent.driver.exec(call.params.id ?? '', {...request, size})
  const output = call.respondStream(200, 'application/vnd.gpuctl.frames')
  call.onClose(() => void session.kill())
  const reader = new FrameReader()
  const input = (async () => {
    for await (const piece of call.stream as AsyncIterable<Uint8Array>) {
      for (const {kind, payload} of reader.read(piece)) {
        if (kind === frameKind.stdin) await write(session.stdin, payload)
        if (kind !== frameKind.control) continue
        const {resize, eof} = JSON.parse(Buffer.from(payload).toString())
        if (resize) await session.resize(resize.rows, resize.columns)
        if (eof) session.stdin.end()
      }
    }
  })().catch(() => session.kill())
  const pump = async (from: AsyncIterable<Uint8Array>, kind: 1 | 2) => {
    for await (const piece of from) await write(output, encodeFrame(kind, piece))
  }
  await Promise.all([pump(session.stdout, frameKind.stdout), pump(session.stderr, frameKind.stderr)])
  output.end(encodeControl({exit: {code: await session.exited, reason: ''}}))
  void input
}

/** Waits when the other side is slower. */
function write(output: NodeJS.WritableStream, bytes: Uint8Array | string): Promise<void> {
  if (output.write(bytes)) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      output.off('drain', done)
      output.off('close', done)
      output.off('error', settle)
      error ? reject(error) : resolve()
    }
    const done = () => settle()
    output.once('drain', done)
    output.once('close', done)
    output.once('error', settle)
  })
}
