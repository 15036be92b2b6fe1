import {encodeControl} from '../contract/frames.ts'
import type {AgentCall} from '../link/routes.ts'
import {sleep} from '../platform/clock.ts'
import type {FoundContainer, LogOptions} from '../runtime/driver.ts'
import type {Agent} from './agent.ts'
import {write} from './call-output.ts'
import {frameLogs, frameLogsWithBookmarks} from './log-stream.ts'

/** The engine may show a container as running for a moment after its output has ended. */
const endShownWithinMs = 3_000
const lookEveryMs = 100

/** Answers with the output of a container; followed, it ends with the workload and says how that ended. */
export async function sendLogs(call: AgentCall, agent: Agent, signal: AbortSignal): Promise<void> {
  const id = call.params.id ?? ''
  const options = readOptions(call.query)
  if (call.query.get('previous') === 'true') options.untilNs = beforeLastStart(await agent.driver.inspect(id))
  const wantsStamps = options.timestamps
  const chunks = agent.driver.logs(id, {...options, timestamps: options.follow || wantsStamps}, signal)
  const frames = options.follow || wantsStamps ? frameLogsWithBookmarks(chunks, wantsStamps) : frameLogs(chunks)
  const output = call.respondStream(200, 'application/vnd.gpuctl.frames')
  for await (const frame of frames) await write(output, frame)
  if (options.follow) {
    const found = await lookForEnd(id, agent, signal)
    const reason = found ? (found.oomKilled ? 'OutOfMemory' : '') : 'Removed'
    output.write(encodeControl({exit: {code: found?.exitCode ?? null, reason}}))
  }
  output.end()
}

/** Between the last two runs: an engine notes an end before it has the last lines, and a start after the first ones. */
function beforeLastStart(found: FoundContainer | undefined): bigint | undefined {
  if (!found?.startedAt) return undefined
  const startMs = Date.parse(found.startedAt)
  const endMs = found.previousEndedAt ? Date.parse(found.previousEndedAt) : startMs
  return BigInt(Math.floor((Math.min(endMs, startMs) + startMs) / 2)) * 1_000_000n
}

/** Throws when it runs on: then it was the engine that ended the output, and the reader must come again. */
async function lookForEnd(
  id: string,
  {driver, clock}: Agent,
  signal: AbortSignal,
): Promise<FoundContainer | undefined> {
  for (let waitedMs = 0; waitedMs < endShownWithinMs; waitedMs += lookEveryMs) {
    const found = await driver.inspect(id)
    if (found?.state !== 'running') return found
    await sleep(clock, lookEveryMs, signal)
  }
  throw new Error('The output ended, and the container runs on.')
}

function readOptions(query: URLSearchParams): LogOptions {
  const read = <T>(name: string, parse: (text: string) => T) => {
    const text = query.get(name)
    return text === null ? undefined : parse(text)
  }
  return {
    follow: query.get('follow') === 'true',
    tail: read('tail', Number),
    sinceNs: read('sinceNs', BigInt),
    untilNs: read('untilNs', BigInt),
    timestamps: query.get('timestamps') === 'true',
    stdout: query.get('stdout') !== 'false',
    stderr: query.get('stderr') !== 'false',
  }
}
