import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, Done, Time, Uuid} from './common.ts'

/** A way into an instance that is open now. */
export const Session = Type.Object({
  id: Uuid,
  /** Counts from 1 since the server started. */
  number: Type.Integer({minimum: 1}),
  /** `ssh` is one connection to the jump host, with all that runs on it. */
  kind: Type.Enum(['ssh', 'exec', 'terminal']),
  user: Type.String(),
  userId: Uuid,
  /** Name and id; empty as long as the menu of the jump host is shown. */
  instance: Type.String(),
  instanceId: Type.String(),
  address: Type.String(),
  startedAt: Time,
  /** To the instance, and from it. */
  bytesIn: Type.Integer({minimum: 0}),
  bytesOut: Type.Integer({minimum: 0}),
})
export type Session = Static<typeof Session>

export const sessions = {
  'sessions.list': operation({
    summary: 'List your open SSH, exec and terminal sessions; administrators may list all.',
    access: 'viewer',
    input: Type.Object({all: Type.Optional(Type.Boolean({description: 'of all users (administrators)'}))}),
    output: Type.Array(Session),
  }),
  'sessions.kill': operation({
    summary: 'End an open session.',
    access: 'user',
    input: ById,
    output: Done,
  }),
}
