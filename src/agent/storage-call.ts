import {type AgentCall, CallProblem} from '../link/routes.ts'
import {StorageError} from '../storage/driver.ts'
import type {StorageHost} from '../storage/host.ts'

const statusOf: Partial<Record<StorageError['code'], number>> = {
  not_found: 404,
  exists: 409,
  in_use: 409,
  needed: 409,
  invalid: 400,
  unsupported: 400,
  full: 507,
  unavailable: 503,
}

/** Does one thing with the storage of this machine. What the server cuts off is ended. */
export async function runStorage(call: AgentCall, host: StorageHost | undefined, cut: AbortSignal): Promise<void> {
  const {method = ''} = call.params
  if (!host) throw new CallProblem(503, 'storage_unavailable', 'The storage of this machine is out of reach.')
  if (!host.has(method)) throw new CallProblem(404, 'unknown_route', `The agent knows no storage method ${method}.`)
  const input = await call.readJson()
  try {
    call.respondJson(200, await host.call(method, input as never, cut))
  } catch (error) {
    throw asStorageProblem(error)
  }
}

/** A refusal of the storage, in the words of the link. */
export function asStorageProblem(error: unknown): unknown {
  if (!(error instanceof StorageError)) return error
  return new CallProblem(statusOf[error.code] ?? 500, `storage_${error.code}`, error.message)
}
