import type {Client} from '../client/client.ts'
import type {Instance} from '../contract/schemas/instances.ts'
import {waitFor} from './wait.ts'

const defaultTimeoutMs = 10 * 60 * 1000

/**
 * Waits for the effect of a power command: `asked` is the answer to it. An instance that ran and ended meanwhile counts
 * as started.
 */
export function instanceState(
  client: Client,
  asked: Instance,
  wanted: 'running' | 'exited',
  options: {timeoutMs?: number; quiet: boolean; since?: Instance},
): Promise<Instance> {
  const {timeoutMs = defaultTimeoutMs, quiet, since} = options
  return waitFor<Instance>({
    look: signal => client.call('instances.get', {id: asked.id}, {signal}),
    isDone: ({status, startedAt, finishedAt}) => {
      const isOver = status === 'exited' || status === 'failed'
      if (wanted === 'exited') return isOver
      const isFresh = since?.status !== 'running' || startedAt !== since.startedAt
      return (status === 'running' && isFresh) || (isOver && finishedAt !== asked.finishedAt)
    },
    describe: ({name, status, reason}) => `Waiting for ${name}: ${status}${reason ? `, ${reason}` : ''}`,
    goOn: `gpuctl wait instance/${asked.name} --for ${wanted}`,
    timeoutMs,
    quiet,
  })
}
