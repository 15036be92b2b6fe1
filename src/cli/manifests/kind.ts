import type {Client} from '../../client/client.ts'
import type {ManifestKind, Manifests} from '../../contract/schemas/manifests.ts'
import type {Difference} from './compare.ts'

/** How something is made: as part of which set of files, and how long one waits for it. */
export interface Making {
  applySet: string
  quiet: boolean
  timeoutMs?: number
}

/** What apply, diff and export need to know of a kind of thing. `M` is its manifest. */
export interface KindOf<M> {
  /** What is there, in the words of the manifest; undefined: nothing. Other words for the same thing come as they are wanted. */
  find: (client: Client, wanted: M) => Promise<object | undefined>
  create: (client: Client, wanted: M, making: Making) => Promise<void>
  /** Members that can be changed; the others are fixed for life. */
  changeable: readonly string[]
  /** Of these members each one inside counts by itself. */
  partial?: readonly string[]
  change: (client: Client, wanted: M, differences: readonly Difference[]) => Promise<void>
  /** Takes away what has this id. Absent: apply makes none, or destroys none. */
  remove?: (client: Client, id: string) => Promise<void>
  /** Everything of the kind that the caller may see, as manifests. */
  list: (client: Client) => Promise<M[]>
  /** How to make room for another one, as a hint. */
  replace: (wanted: M) => string
}

export type Kinds = {[K in ManifestKind]: KindOf<Manifests[K]>}

/** Only these members, and of them those that are there. */
export function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const some = names.filter(name => from[name] !== undefined).map(name => [name, from[name]] as const)
  return Object.fromEntries(some) as unknown as Pick<T, K>
}

/** The wanted word where it is one of those that mean the same, else the usual one. */
export function alias<T>(wanted: T, same: readonly T[], usual: T): T {
  return same.includes(wanted) ? wanted : usual
}
