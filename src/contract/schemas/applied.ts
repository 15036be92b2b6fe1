import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {Name, Uuid} from './common.ts'

/** A thing that apply has made and that is still there. */
export const Applied = Type.Object({
  id: Uuid,
  kind: Type.Enum(['spec', 'image', 'instance', 'claim']),
  name: Type.String(),
})
export type Applied = Static<typeof Applied>

export const applied = {
  'applied.list': operation({
    summary: 'What apply has made for the caller as part of one set of files, and is still there.',
    access: 'viewer',
    input: Type.Object({set: Name}),
    output: Type.Array(Applied),
  }),
}
