import {pipeline} from 'node:stream/promises'
import type {UnpackEnd} from '../contract/agent-protocol.ts'
import {type AgentCall, CallProblem} from '../link/routes.ts'
import {type RuntimeDriver, RuntimeError} from '../runtime/driver.ts'
import {inputOf} from './call-input.ts'

export async function sendStat(call: AgentCall, driver: RuntimeDriver): Promise<void> {
  call.respondJson(200, await driver.statPath(call.params.id ?? '', pathOf(call)))
}

/** Answers with a file or folder as tar. */
export async function sendArchive(call: AgentCall, driver: RuntimeDriver, signal: AbortSignal): Promise<void> {
  const {stat, content} = await driver.readArchive(call.params.id ?? '', pathOf(call), signal)
  content.on('error', () => {}) // told by the pipeline, if it comes so far
  if (call.stream.closed) return void content.destroy()
  call.stream.respond({
    ':status': 200,
    'content-type': 'application/x-tar',
    'x-gpuctl-stat': Buffer.from(JSON.stringify(stat)).toString('base64url'),
  })
  await pipeline(content, call.stream)
}

/**
 * Unpacks what the caller sends. The answer begins at once, since the caller's patience for its beginning is shorter than
 * an upload; how it went is said at the end.
 */
export async function takeArchive(call: AgentCall, driver: RuntimeDriver): Promise<void> {
  const path = pathOf(call)
  const output = call.respondStream(200, 'application/json')
  const end: UnpackEnd = {}
  try {
    await driver.writeArchive(call.params.id ?? '', path, inputOf(call))
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error
    end.error = {code: error.code, message: error.message}
  }
  output.end(`${JSON.stringify(end)}\n`)
  call.stream.resume()
}

function pathOf({query}: AgentCall): string {
  const path = query.get('path')
  if (!path || path.includes('\0')) throw new CallProblem(400, 'invalid', 'No path is given.')
  return path
}
