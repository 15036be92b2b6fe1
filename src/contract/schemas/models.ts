import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {Nothing, Nullable} from './common.ts'

/** A model that approved runtimes hold, by the name under which they are asked. */
export const Model = Type.Object({
  id: Type.String(),
  /** Some runtime that is online can be asked for it now. */
  ready: Type.Boolean(),
  status: Type.Enum(['ready', 'downloading', 'unavailable']),
  /** 0 to 1 while a runtime downloads it. */
  downloadProgress: Nullable(Type.Number()),
  /** What it is for; one that no runtime has loaded yet is taken for a chat model. */
  kinds: Type.Array(Type.Enum(['chat', 'embedding', 'asr', 'tts'])),
  runtimes: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      status: Type.String(),
      loaded: Type.Boolean(),
      /** Not asked for it until it registers again or comes back, because it failed. */
      excluded: Type.Boolean(),
      activeRequests: Type.Integer(),
    }),
  ),
})
export type Model = Static<typeof Model>

export const models = {
  'models.list': operation({
    summary: 'Models that can be called at /v1, and where they are.',
    access: 'viewer',
    input: Nothing,
    output: Type.Array(Model),
  }),
  'models.get': operation({
    summary: 'One model, and the runtimes that hold it.',
    access: 'viewer',
    input: Type.Object({id: Type.String({minLength: 1, maxLength: 256, description: 'name of the model'})}),
    output: Model,
  }),
}
