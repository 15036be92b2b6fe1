import type {RuntimeDriver} from '../../../src/runtime/driver.ts'

type Name = keyof RuntimeDriver

/** What happens around the calls of one life of an agent. */
export interface Doubts {
  /** Before the call reaches the engine; what it throws is the call's failure, and while it waits the call hangs. */
  before?: (name: Name, args: unknown[]) => unknown
  /** After the engine did it and before the agent hears of it. */
  after?: (name: Name, args: unknown[], answer: unknown) => unknown
}

/** A real driver behind an engine that may be slow, cut off or gone. */
export function doubt(driver: RuntimeDriver, doubts: Doubts): RuntimeDriver {
  return new Proxy(driver, {
    get(target, name) {
      const member = Reflect.get(target, name, target)
      if (name === 'snapshots' && member) return doubtAll(member, name, doubts)
      if (typeof member !== 'function') return member
      const call = name as Name
      if (call === 'close') return async () => {} // an engine outlives its agents
      if (call === 'watch' || call === 'logs' || call === 'stats') {
        return async function* (...args: unknown[]) {
          await doubts.before?.(call, args)
          yield* member.apply(target, args)
        }
      }
      return doubtful(call, (...args) => member.apply(target, args), doubts)
    },
  })
}

/** The calls of an ability: the first argument is which one. */
function doubtAll(ability: object, name: Name, doubts: Doubts): object {
  const calls = Object.entries(ability).map(([key, act]) => {
    const call = doubtful(name, (_, ...args) => act(...args), doubts)
    return [key, (...args: unknown[]) => call(key, ...args)]
  })
  return Object.fromEntries(calls)
}

function doubtful(name: Name, act: (...args: unknown[]) => unknown, {before, after}: Doubts) {
  return async (...args: unknown[]) => {
    await before?.(name, args)
    const answer = await act(...args)
    await after?.(name, args, answer)
    return answer
  }
}
