import {type Static, type TObject, Type} from 'typebox'
import {catalogue} from './catalogue.ts'
import {ClaimSpec} from './claims.ts'
import {Name} from './common.ts'
import {instances} from './instances.ts'
import {quotas} from './quotas.ts'
import {storage} from './storage.ts'

const strict = {additionalProperties: false}
const {noQueue: _, ...instanceFields} = instances['instances.create'].input.properties
const {name, node, device, type, storageName, content, comment} = storage['pools.create'].input.properties
const {network, readWrite, rootSquash} = storage['pools.share'].input.properties

/** What `gpuctl apply` reads: the inputs of the operations that make a thing, with its kind beside them. */
export const manifests = {
  spec: Type.Object({kind: Type.Literal('spec'), ...catalogue['specs.create'].input.properties}, strict),
  image: Type.Object({kind: Type.Literal('image'), ...catalogue['images.create'].input.properties}, strict),
  quota: Type.Object({kind: Type.Literal('quota'), ...quotas['quotas.set'].input.properties}, strict),
  pool: Type.Object(
    {
      kind: Type.Literal('pool'),
      ...{name, node, device, type, storageName, content, comment},
      /** Exported over NFS so. */
      share: Type.Optional(Type.Object({network, readWrite, rootSquash}, strict)),
    },
    strict,
  ),
  instance: Type.Object({kind: Type.Literal('instance'), ...instanceFields, name: Name}, strict),
  claim: Type.Object(
    {
      kind: Type.Literal('claim'),
      ...ClaimSpec.properties,
      name: Name,
      /** Parts of cards come from specs alone. */
      gpus: Type.Optional(Type.Omit(ClaimSpec.properties.gpus, ['shareMiB'])),
    },
    strict,
  ),
} satisfies Record<string, TObject>

export type ManifestKind = keyof typeof manifests
export type Manifests = {[K in ManifestKind]: Static<(typeof manifests)[K]>}

/** For editors, and for `gpuctl apply` itself. */
export const manifestSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'What gpuctl apply reads',
  type: 'object',
  required: ['kind'],
  oneOf: Object.values(manifests),
}
