import type {OsImageEnd} from '../contract/agent-protocol.ts'
import {type AgentCall, CallProblem} from '../link/routes.ts'
import {StorageError} from '../storage/driver.ts'
import type {StorageHost} from '../storage/host.ts'
import {inputOf} from './call-input.ts'

/** Takes a piece of a file of an operating system. As with an archive the answer begins at once and says at the end how it went. */
export async function takeOsImage(call: AgentCall, host: StorageHost | undefined): Promise<void> {
  if (!host) throw new CallProblem(503, 'storage_unavailable', 'The storage of this machine is out of reach.')
  const {query, params} = call
  const numbers = {offset: Number(query.get('offset')), totalBytes: Number(query.get('totalBytes'))}
  const part = {name: params.name ?? '', sha256: query.get('sha256') ?? '', ...numbers}
  const output = call.respondStream(200, 'application/json')
  const end: OsImageEnd = {}
  try {
    end.image = await host.osImages.receive(part, inputOf(call))
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    end.error = {code: `storage_${error.code}`, message: error.message}
  }
  output.end(`${JSON.stringify(end)}\n`)
  call.stream.resume()
}
