import {pipeline} from 'node:stream/promises'
import {type AgentCall, CallProblem} from '../link/routes.ts'
import type {RuntimeDriver} from '../runtime/driver.ts'

/** Joins the call with a port of the container. Each direction ends by itself; a broken one ends both. */
export async function runDial(call: AgentCall, driver: RuntimeDriver): Promise<void> {
  const port = Number(call.query.get('port'))
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new CallProblem(400, 'invalid', 'No such port.')
  const socket = await driver.dial(call.params.id ?? '', port)
  socket.on('error', () => {}) // told by the pipelines
  call.onClose(() => socket.destroy())
  const output = call.respondStream(200, 'application/octet-stream')
  const input = pipeline(call.stream, socket)
  input.catch(() => {}) // the caller left, or the program does not want its input: the output says the rest
  await pipeline(socket, output)
}
