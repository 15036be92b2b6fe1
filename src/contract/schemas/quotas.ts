import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ClaimPhase} from './claims.ts'
import {Name, Nothing, Nullable, Reference, Uuid} from './common.ts'

/** What a user may hold, and what he holds: all live claims count, stopped instances too (rule 6). */
export const Quota = Type.Object({
  user: Type.String(),
  userId: Uuid,
  /** null = unlimited (super_admin). */
  gpus: Nullable(Type.Integer({minimum: 0})),
  /** Highest priority of a claim (rule 2). */
  maxPriority: Type.Integer({minimum: -100, maximum: 100}),
  gpusHeld: Type.Integer({minimum: 0}),
  /** 0 also where more is held than the quota allows; null = unlimited. */
  gpusLeft: Nullable(Type.Integer({minimum: 0})),
})
export type Quota = Static<typeof Quota>

export const QuotaStatus = Type.Object({
  ...Quota.properties,
  /** More is held than the quota allows: it was lowered meanwhile. Nothing is taken away. */
  isOver: Type.Boolean(),
  /** The claims that count, newest first; at most 1000. */
  claims: Type.Array(
    Type.Object({
      id: Uuid,
      name: Name,
      phase: ClaimPhase,
      gpus: Type.Integer({minimum: 0}),
      priority: Type.Integer(),
    }),
  ),
})
export type QuotaStatus = Static<typeof QuotaStatus>

const OfUser = Type.Object({
  user: Type.Optional(
    Type.String({minLength: 1, maxLength: 253, description: 'user name or id; your own unless given'}),
  ),
})

export const quotas = {
  'quotas.list': operation({
    summary: 'Quotas and use of all users; who is no administrator sees his own.',
    access: 'viewer',
    input: Nothing,
    output: Type.Array(Quota),
  }),
  'quotas.get': operation({summary: 'Quota and use of one user.', access: 'viewer', input: OfUser, output: Quota}),
  'quotas.set': operation({
    summary: 'Set how many GPUs a user may hold, and the highest priority of his claims.',
    access: 'super_admin',
    input: Type.Object({
      user: Reference,
      gpus: Type.Optional(Nullable(Type.Integer({minimum: 0, maximum: 100_000}))),
      maxPriority: Type.Optional(Type.Integer({minimum: -100, maximum: 100})),
    }),
    output: Quota,
  }),
  'quotas.status': operation({
    summary: 'Quota and use of one user, and the claims that count.',
    access: 'viewer',
    input: OfUser,
    output: QuotaStatus,
  }),
}
