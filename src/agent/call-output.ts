import {type AgentCall, CallProblem} from '../link/routes.ts'
import {RuntimeError} from '../runtime/driver.ts'

/** Waits when the other side is slower. Rejects when it is gone, so that whoever produces more stops. */
export function write(
  output: NodeJS.WritableStream & {destroyed?: boolean},
  bytes: Uint8Array | string,
): Promise<void> {
  if (output.destroyed || !output.writable) return Promise.reject(new Error('The reader left.'))
  if (output.write(bytes)) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      output.off('drain', onDrain)
      output.off('close', onClose)
      output.off('error', settle)
      error ? reject(error) : resolve()
    }
    const onDrain = () => settle()
    const onClose = () => settle(new Error('The reader left.'))
    output.on('drain', onDrain)
    output.on('close', onClose)
    output.on('error', settle)
  })
}

/** Fires when the call has ended, however. */
export function endOf(call: AgentCall): AbortSignal {
  const controller = new AbortController()
  call.onClose(() => controller.abort())
  return controller.signal
}

const statusOf: Partial<Record<RuntimeError['code'], number>> = {
  no_container: 404,
  no_path: 404,
  path_refused: 409,
  port_closed: 502,
  invalid: 400,
  unreachable: 503,
  timeout: 503,
}

/** A failure of the runtime, in the words of the link. */
export function asProblem(error: unknown): unknown {
  if (!(error instanceof RuntimeError)) return error
  return new CallProblem(statusOf[error.code] ?? 500, error.code, error.message)
}
