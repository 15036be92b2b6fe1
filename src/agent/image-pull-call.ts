import type {ImagePull} from '../contract/agent-protocol.ts'
import {type AgentCall, CallProblem} from '../link/routes.ts'
import {type RuntimeDriver, RuntimeError} from '../runtime/driver.ts'
import {write} from './call-output.ts'

/** Fetches an image ahead and tells how far it is. It ends with the stream: what the server cuts off is broken off. */
export async function runImagePull(call: AgentCall, driver: RuntimeDriver, cut: AbortSignal): Promise<void> {
  const image = call.query.get('image') ?? ''
  if (!driver.facts.images) throw new CallProblem(400, 'invalid', 'This runtime has no images.')
  const output = call.respondStream(200, 'application/x-ndjson')
  let told: number | null = -1
  const tell = (line: ImagePull) => write(output, `${JSON.stringify(line)}\n`)
  const progress = (percent: number | undefined) => {
    const now = percent === undefined ? null : Math.floor(percent)
    if (now === told) return
    told = now
    void tell({percent: now}).catch(() => {}) // who left has cut it
  }
  const end = await driver.pull(image, progress, cut).then((): ImagePull => ({done: true}), failureOf)
  if (cut.aborted) return
  await tell(end)
  output.end()
}

function failureOf(error: unknown): ImagePull {
  const {code, message} = error instanceof RuntimeError ? error : {code: 'failed', message: String(error)}
  return {error: {code, message}}
}
