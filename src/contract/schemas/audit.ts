import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {Nullable, Time} from './common.ts'

/** One row for each changing call. */
export const AuditRow = Type.Object({
  /** Counted without a gap. */
  number: Type.Integer({minimum: 1}),
  at: Time,
  /** User name, or `anonymous`. */
  actor: Type.String(),
  /** Operation, as `users.create`. */
  action: Type.String(),
  /** Id of what it was done to. */
  object: Type.String(),
  requestId: Type.String(),
  /** What was asked for, never a secret. */
  details: Type.Record(Type.String(), Type.Unknown()),
})
export type AuditRow = Static<typeof AuditRow>

const Hash = Type.String({pattern: '^[0-9a-f]{64}$'})

/** A place in the chain: each row's hash is made over what it says and the hash of the row before it. */
const ChainLink = Type.Object({number: Type.Integer({minimum: 0}), hash: Hash})

export const AuditCheck = Type.Object({
  /** Rows that are as they were written. */
  checked: Type.Integer({minimum: 0}),
  /** The last of them; give it for the next page. */
  at: ChainLink,
  /** The last row of all. */
  head: ChainLink,
  /** There is no next page. */
  isDone: Type.Boolean(),
  /** The first row at which something is wrong. */
  fault: Nullable(
    Type.Object({
      number: Type.Integer({minimum: 0}),
      fault: Type.Union([
        /** It says something else than when it was written, or was moved here. */
        Type.Literal('edited'),
        /** Another row stands in its place. */
        Type.Literal('replaced'),
        /** It is gone. */
        Type.Literal('missing'),
        /** It was put in without gpuctl. */
        Type.Literal('added'),
      ]),
    }),
  ),
})
export type AuditCheck = Static<typeof AuditCheck>

export const audit = {
  'audit.list': operation({
    summary: 'Who changed what: the newest rows of the audit, oldest first.',
    access: 'super_admin',
    input: Type.Object({
      actor: Type.Optional(Type.String({maxLength: 128, description: 'user name'})),
      action: Type.Optional(Type.String({maxLength: 128, description: 'operation, or its beginning: `users.`'})),
      object: Type.Optional(Type.String({maxLength: 256, description: 'id'})),
      since: Type.Optional(Time),
      limit: Type.Optional(Type.Integer({minimum: 1, maximum: 1000})),
    }),
    output: Type.Array(AuditRow),
  }),
  'audit.verify': operation({
    summary: 'Look whether the rows of the audit are as they were written, one page of them.',
    access: 'super_admin',
    input: Type.Object({
      after: Type.Optional(Type.Integer({minimum: 0, description: 'number of the row to go on behind; with hash'})),
      hash: Type.Optional(Type.String({pattern: '^[0-9a-f]{64}$', description: 'what its hash was'})),
      limit: Type.Optional(Type.Integer({minimum: 1, maximum: 5000})),
    }),
    output: AuditCheck,
  }),
}
