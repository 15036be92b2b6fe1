import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {Time} from './common.ts'

export const UsageBy = Type.Enum(['user', 'node', 'spec'])
export type UsageBy = Static<typeof UsageBy>

/** What was held in a time, of one user, on one node, or by one spec of the catalogue. */
export const Usage = Type.Object({
  /** Name; '' for what came from no spec. */
  name: Type.String(),
  claims: Type.Integer({minimum: 0}),
  /** Hours of whole cards; a part of a card counts as the part of its memory. Held is held, whether it computes or not. */
  gpuHours: Type.Number({minimum: 0}),
  /** Hours held times the price of the spec when the instance was made; what came from no spec costs nothing. */
  cost: Type.Number({minimum: 0}),
})
export type Usage = Static<typeof Usage>

export const usage = {
  'usage.get': operation({
    summary: 'GPU-hours and cost by user, node or spec; who is no administrator sees what is his own.',
    access: 'viewer',
    input: Type.Object({
      from: Type.Optional(Time),
      to: Type.Optional(Time),
      by: Type.Optional(UsageBy),
    }),
    output: Type.Object({
      from: Time,
      to: Time,
      by: UsageBy,
      /** Most GPU-hours first. */
      rows: Type.Array(Usage),
      total: Type.Object({claims: Type.Integer(), gpuHours: Type.Number(), cost: Type.Number()}),
    }),
  }),
}
