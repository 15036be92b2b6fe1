import type {Client} from '../client/client.ts'
import type {Instance} from '../contract/schemas/instances.ts'
import {exitCode} from './exit-codes.ts'
import {Failure} from './failure.ts'
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

/** Waits for the end of the restore that `asked` is the answer to. Throws a Failure (exit 1) where it failed. */
export async function instanceRestored(
  client: Client,
  asked: Instance,
  {timeoutMs = defaultTimeoutMs, quiet}: {timeoutMs?: number; quiet: boolean},
): Promise<Instance> {
  const count = asked.restore?.count ?? 0
  const ended = await waitFor<Instance>({
    look: signal => client.call('instances.get', {id: asked.id}, {signal}),
    isDone: ({restore, status}) => {
      const isOver = restore === undefined || restore.count > count || restore.state !== 'pending'
      return isOver && status !== 'creating'
    },
    describe: ({name, status, reason}) => `Waiting for ${name}: ${status}${reason ? `, ${reason}` : ''}`,
    goOn: `gpuctl instance get ${asked.name}`,
    timeoutMs,
    quiet,
  })
  const {name, restore} = ended
  if (restore?.count !== count || restore.state !== 'failed') return ended
  throw new Failure('restore_failed', `${name} could not be made of ${restore.snapshot}: ${restore.message}`, {
    exitCode: exitCode.failure,
    hint: `It is what it was before: gpuctl instance get ${name}`,
  })
}
