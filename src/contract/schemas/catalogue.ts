import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ImageAddress} from './claims.ts'
import {ById, Done, identity, Name, Reference} from './common.ts'
import {Task} from './tasks.ts'

/** An image that people may choose by name. */
export const Image = Type.Object({
  ...identity,
  name: Type.String({minLength: 1, maxLength: 128}),
  address: ImageAddress,
  description: Type.String(),
  source: Type.String(),
  /** The image can run on a part of a card (HAMi). */
  memorySplit: Type.Boolean(),
  listed: Type.Boolean(),
  remark: Type.String(),
})
export type Image = Static<typeof Image>

/** A shape for sale. GPU memory in GiB of all its cards together; price per hour. */
export const Spec = Type.Object({
  ...identity,
  name: Type.String({minLength: 1, maxLength: 128}),
  /** The whole name of the model; brand words, case and spaces aside. '' = any. */
  gpuModel: Type.String(),
  /** 0 = processors only. */
  gpuCount: Type.Integer({minimum: 0}),
  gpuMemoryGiB: Type.Integer({minimum: 0}),
  /** Takes a part of each card (HAMi); the image must be able to, too. */
  memorySplit: Type.Boolean(),
  cpus: Type.Integer({minimum: 0}),
  memoryGiB: Type.Integer({minimum: 0}),
  systemDiskGiB: Type.Integer({minimum: 0}),
  dataDiskGiB: Type.Integer({minimum: 0}),
  pricePerHour: Type.Number({minimum: 0}),
  listed: Type.Boolean(),
})
export type Spec = Static<typeof Spec>

const imageFields = {
  description: Type.Optional(Type.String({maxLength: 1024})),
  source: Type.Optional(Type.String({maxLength: 256})),
  memorySplit: Type.Optional(Type.Boolean()),
  listed: Type.Optional(Type.Boolean()),
  remark: Type.Optional(Type.String({maxLength: 512})),
}
const count = Type.Optional(Type.Integer({minimum: 0, maximum: 1_000_000}))
const specFields = {
  gpuModel: Type.Optional(Type.String({maxLength: 128})),
  gpuCount: count,
  gpuMemoryGiB: count,
  memorySplit: Type.Optional(Type.Boolean()),
  cpus: count,
  memoryGiB: count,
  systemDiskGiB: count,
  dataDiskGiB: count,
  pricePerHour: Type.Optional(Type.Number({minimum: 0, maximum: 1_000_000})),
  listed: Type.Optional(Type.Boolean()),
}
const filters = {
  listed: Type.Optional(Type.Boolean()),
  name: Type.Optional(Type.String({description: 'part of the name'})),
}

export const catalogue = {
  'images.list': operation({
    summary: 'List the images of the catalogue.',
    access: 'viewer',
    input: Type.Object(filters),
    output: Type.Array(Image),
  }),
  'images.get': operation({summary: 'One image of the catalogue.', access: 'viewer', input: ById, output: Image}),
  'images.create': operation({
    summary: 'Put an image into the catalogue.',
    access: 'super_admin',
    status: 201,
    input: Type.Object({name: Name, address: ImageAddress, ...imageFields}),
    markable: true,
    output: Image,
  }),
  'images.update': operation({
    summary: 'Change an image of the catalogue.',
    access: 'super_admin',
    input: Type.Object({
      id: Type.String(),
      name: Type.Optional(Name),
      address: Type.Optional(ImageAddress),
      ...imageFields,
    }),
    output: Image,
  }),
  'images.pull': operation({
    summary: 'Fetch an image ahead: a task for each node.',
    access: 'node_admin',
    status: 202,
    input: Type.Object({
      /** Entry of the catalogue, or an image address. */
      image: Type.String({minLength: 1, maxLength: 512}),
      /** Absent: all nodes of the caller that are connected and have images. */
      nodes: Type.Optional(Type.Array(Reference, {minItems: 1, maxItems: 1000})),
    }),
    output: Type.Array(Task),
  }),
  'images.delete': operation({
    summary: 'Take an image out of the catalogue.',
    access: 'super_admin',
    input: ById,
    output: Done,
  }),
  'specs.list': operation({
    summary: 'List the specs of the catalogue.',
    access: 'viewer',
    input: Type.Object({...filters, gpuModel: Type.Optional(Type.String({description: 'part of the model'}))}),
    output: Type.Array(Spec),
  }),
  'specs.get': operation({summary: 'One spec of the catalogue.', access: 'viewer', input: ById, output: Spec}),
  'specs.create': operation({
    summary: 'Put a spec into the catalogue.',
    access: 'super_admin',
    status: 201,
    input: Type.Object({name: Name, ...specFields}),
    markable: true,
    output: Spec,
  }),
  'specs.update': operation({
    summary: 'Change a spec of the catalogue.',
    access: 'super_admin',
    input: Type.Object({id: Type.String(), name: Type.Optional(Name), ...specFields}),
    output: Spec,
  }),
  'specs.delete': operation({
    summary: 'Take a spec out of the catalogue.',
    access: 'super_admin',
    input: ById,
    output: Done,
  }),
}
