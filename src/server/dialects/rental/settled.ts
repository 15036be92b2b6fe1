import type {Instance} from '../../../contract/schemas/instances.ts'
import type {Caller} from '../../../domain/caller.ts'
import type {Services} from '../../../domain/services/services.ts'

const longestMs = 35_000
/** What no event tells is seen then. */
const lookEveryMs = 1_000

/** The instance when it has started or stopped, or as it is after 35 s. The origin answers its power calls only then. */
export async function settled(services: Services, id: string, caller: Caller): Promise<Instance> {
  let wake = () => {}
  const unsubscribe = services.events.subscribe(({kind}) => {
    if (kind === 'instance' || kind === 'claim') wake()
  })
  const untilMs = Date.now() + longestMs
  try {
    for (;;) {
      const instance = await services.instances.get({id}, caller)
      const isMoving = instance.status === 'creating' || instance.status === 'stopping'
      if (!isMoving || Date.now() >= untilMs) return instance
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, lookEveryMs)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  } finally {
    unsubscribe()
  }
}
