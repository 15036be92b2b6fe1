import {type Static, Type} from 'typebox'
import {Labels, Name, Nullable, Reference, Time} from './common.ts'

/** A figure as the operator wrote it: `Intel Xeon Gold 6248`, `256GB`, `2TB`, 64. A bare number is cores or GiB. */
export const Figure = Type.Union([Type.String({maxLength: 128}), Type.Integer({minimum: 0, maximum: 1_000_000_000})])
export type Figure = Static<typeof Figure>

const text = Type.String({maxLength: 253})
const remark = Type.String({maxLength: 512})

/** What the operator says of a machine for those who rent on it; '' is unknown. */
export const NodeListing = Type.Object({
  region: text,
  publicIp: text,
  privateIp: text,
  cpu: Figure,
  memory: Figure,
  systemDisk: Figure,
  dataDisk: Figure,
  remark,
})
export type NodeListing = Static<typeof NodeListing>

/** GPUs that the operator declared, where nobody on the machine reports them. Memory of one card. */
export const DeclaredGpus = Type.Object({
  model: Type.String(),
  count: Type.Integer({minimum: 1}),
  memoryMiB: Nullable(Type.Integer()),
})
export type DeclaredGpus = Static<typeof DeclaredGpus>

/** Whether the Docker Engine answered when it was last asked; `unknown` before. */
export const DockerStatus = Type.Enum(['connected', 'failed', 'unknown'])
export type DockerStatus = Static<typeof DockerStatus>

/** Members of a node that only operators and people who rent look at. */
export const machineFacts = {
  /** Offered for new work: an unlisted node takes none. */
  listed: Type.Boolean(),
  listing: NodeListing,
  declaredGpus: Nullable(DeclaredGpus),
  /** Folder of HAMi-core on the machine; '' = its cards are never split. */
  hamiCore: Type.String(),
  dockerStatus: DockerStatus,
  dockerCheckedAt: Nullable(Time),
  /** How the server reaches its Docker; null for nodes that dial in and for who may not change nodes. The key is stars. */
  docker: Nullable(
    Type.Object({
      address: Type.String(),
      useTls: Type.Boolean(),
      ca: Type.String(),
      cert: Type.String(),
      key: Type.String(),
    }),
  ),
  /** Its SSH login as the operator noted it; null for who may not change nodes. The password is stars. */
  ssh: Nullable(Type.Object({port: Type.Integer(), user: Type.String(), password: Type.String()})),
}

const pem = Type.Optional(Type.String({maxLength: 65_536}))

/** What may be said of a machine when it is added or changed; what is absent stays as it is. */
const changes = {
  /** `tcp://HOST:PORT`, or `unix:///path` on the server's own machine; '' = not reached at all. */
  docker: Type.Optional(Type.String({maxLength: 300})),
  /** Unless said, an engine on the network is spoken to over TLS; without it only on loopback (security T21). */
  useTls: Type.Optional(Type.Boolean()),
  ca: pem,
  cert: pem,
  key: pem,
  gpuModel: Type.Optional(Type.String({maxLength: 128})),
  gpuCount: Type.Optional(Type.Integer({minimum: 0, maximum: 64})),
  /** Of one card. */
  gpuMemoryMiB: Type.Optional(Type.Integer({minimum: 1, maximum: 1 << 30})),
  /** One of the folders that the server allows. */
  hamiCore: Type.Optional(Type.String({maxLength: 256})),
  sshPort: Type.Optional(Type.Integer({minimum: 1, maximum: 65_535})),
  sshUser: Type.Optional(Type.String({maxLength: 64})),
  sshPassword: Type.Optional(Type.String({maxLength: 1024})),
  listed: Type.Optional(Type.Boolean()),
  labels: Type.Optional(Labels),
  region: Type.Optional(text),
  publicIp: Type.Optional(text),
  privateIp: Type.Optional(text),
  cpu: Type.Optional(Figure),
  memory: Type.Optional(Figure),
  systemDisk: Type.Optional(Figure),
  dataDisk: Type.Optional(Figure),
  remark: Type.Optional(remark),
}

export const NodeAddition = Type.Object({name: Name, ...changes})
export type NodeAddition = Static<typeof NodeAddition>

export const NodeChange = Type.Object({id: Reference, name: Type.Optional(Name), ...changes})
export type NodeChange = Static<typeof NodeChange>

/** The whole answer of a test: nothing of what listens there is told (security T21). */
export const EngineTest = Type.Object({
  status: Type.Enum(['connected', 'auth_failed', 'unreachable']),
  checkedAt: Time,
})
export type EngineTest = Static<typeof EngineTest>
