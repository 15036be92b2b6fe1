import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, Done, identity, Name, Nullable, Reference, Uuid} from './common.ts'
import {Instance} from './instances.ts'
import {Task} from './tasks.ts'

/** The files of an instance as they were, kept as an image on its node. What lies in volumes is not in it. */
export const InstanceSnapshot = Type.Object({
  ...identity,
  name: Name,
  /** Name of the instance. */
  instance: Type.String(),
  instanceId: Uuid,
  node: Type.String(),
  nodeId: Type.String(),
  /** User name of who asked for it. */
  createdBy: Type.String(),
  state: Type.Enum(['creating', 'ready']),
  /** '' until it is ready. */
  imageId: Type.String(),
  /** What it adds on the disk of the node; null until it is ready. */
  sizeBytes: Nullable(Type.Integer({minimum: 0})),
})
export type InstanceSnapshot = Static<typeof InstanceSnapshot>

const PushAddress = Type.String({
  pattern:
    '^[A-Za-z0-9][A-Za-z0-9.-]*(:\\d{1,5})?(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$',
  maxLength: 384,
  description: 'where an image is pushed to: REGISTRY/REPOSITORY[:TAG], as ghcr.io/team/train:v1; no digest',
})

/** By name or id. */
const One = Type.Object({id: Reference, snapshot: Name})

export const instanceSnapshots = {
  'instances.snapshots': operation({
    summary: 'Snapshots of an instance, the oldest first.',
    access: 'viewer',
    input: ById,
    output: Type.Array(InstanceSnapshot),
  }),
  'instances.snapshot': operation({
    summary: 'Keep the files of an instance, without its volumes, as an image on its node.',
    access: 'user',
    status: 202,
    input: Type.Object({
      id: Reference,
      /** Unique in the instance; made from the time unless given. */
      name: Type.Optional(Name),
      /** It is sent there as well, with the login of its node: for administrators. */
      push: Type.Optional(PushAddress),
    }),
    output: Type.Object({snapshot: InstanceSnapshot, task: Task}),
  }),
  'instances.restore': operation({
    summary: 'Make an instance again what it was at a snapshot: what was written since, outside volumes, is lost.',
    access: 'user',
    status: 202,
    input: Type.Object({...One.properties, graceSeconds: Type.Optional(Type.Integer({minimum: 0, maximum: 3600}))}),
    /** Its member `restore` tells how far it is. */
    output: Instance,
  }),
  'instances.deleteSnapshot': operation({
    summary: 'Forget a snapshot of an instance, which stays as it is.',
    access: 'user',
    input: One,
    output: Done,
  }),
}
