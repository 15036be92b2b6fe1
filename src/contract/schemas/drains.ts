import {type Static, Type} from 'typebox'
import {Nullable, Time} from './common.ts'

/** A node that gives its work away before it is worked on. */
export const Drain = Type.Object({
  /** `unfinished`: its time was over while something still ran there. */
  state: Type.Enum(['draining', 'drained', 'unfinished']),
  by: Type.String({description: 'user name'}),
  startedAt: Time,
  /** What ends by itself has until then; null: as long as it takes. */
  deadlineAt: Nullable(Time),
  /** What has not ended by the deadline, or without one at once, is ended. */
  force: Type.Boolean(),
  endedAt: Nullable(Time),
})
export type Drain = Static<typeof Drain>

/**
 * What becomes of one claim on the node: it `moves` (goes back to the queue), `finishes` by itself, is `stopped` and stays
 * until it is deleted, or `ends` now or at the deadline.
 */
export const DrainFate = Type.Enum(['moves', 'finishes', 'stopped', 'ends'])
export type DrainFate = Static<typeof DrainFate>

/** Names are null where the caller may not see whose it is. */
export const DrainedWork = Type.Object({
  claim: Nullable(Type.String()),
  owner: Nullable(Type.String()),
  gpus: Type.Integer(),
  fate: DrainFate,
})
export type DrainedWork = Static<typeof DrainedWork>
