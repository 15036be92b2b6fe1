import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {Time} from './common.ts'

/** One row for each changing call. */
export const AuditRow = Type.Object({
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
}
