import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {Nothing} from './common.ts'

/** What an operator changes while the server runs. */
export const Setting = Type.Object({
  name: Type.String(),
  value: Type.String(),
  /** Somebody set it; else it is what the server does by itself. */
  isSet: Type.Boolean(),
  /** What it may be. */
  values: Type.Array(Type.String()),
  description: Type.String(),
})
export type Setting = Static<typeof Setting>

export const settings = {
  'settings.list': operation({
    summary: 'List the settings of the server.',
    access: 'super_admin',
    input: Nothing,
    output: Type.Array(Setting),
  }),
  'settings.set': operation({
    summary: 'Change a setting of the server. It holds from the next call on.',
    access: 'super_admin',
    input: Type.Object({
      name: Type.String({maxLength: 64}),
      value: Type.String({maxLength: 256}),
      iKnow: Type.Optional(Type.Boolean({description: 'true for a value that opens what is closed for good reason'})),
    }),
    output: Setting,
  }),
}
