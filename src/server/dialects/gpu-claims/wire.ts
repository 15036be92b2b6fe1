import {type Static, Type} from 'typebox'
import {Password, Username} from '../../../contract/schemas/auth.ts'
import {type Claim, ClaimPhase, ImageAddress} from '../../../contract/schemas/claims.ts'
import {Nullable, Reference, Time, Uuid} from '../../../contract/schemas/common.ts'
import {JoinRequest, type Node} from '../../../contract/schemas/nodes.ts'

export const ById = Type.Object({id: Reference})

export const Register = Type.Object({
  username: Username,
  password: Password,
  /** Where the setting auth.registration is `invite`. */
  invitation: Type.Optional(Type.String({maxLength: 256})),
})

export const Login = Type.Object({username: Type.String({maxLength: 256}), password: Type.String({maxLength: 256})})
export const Token = Type.Object({token: Type.String()})

export const RegisterNode = Type.Object({
  hostname: JoinRequest.properties.hostname,
  /** A join token of ours admits the machine as it says; any other text is the origin's own, and means nothing here. */
  bootstrap_token: Type.Optional(Type.String({maxLength: 512})),
  /** What the machine says of itself, for the operator to compare. */
  machine_id: Type.Optional(Type.String({maxLength: 64})),
})

export const RegisteredNode = Type.Object({
  id: Uuid,
  node_id: Type.Integer(),
  node_token: Type.String({description: 'shown this once; good for beats until the node is approved'}),
  message: Type.String(),
  timestamp: Time,
})

const ClaimSpec = Type.Object({
  image: ImageAddress,
  resources: Type.Object({gpuCount: Type.Integer({minimum: 0, maximum: 1024})}),
})

/** The document wraps the specification; the system behind it takes it bare. */
export const SubmitClaim = Type.Object({
  spec: Type.Optional(ClaimSpec),
  image: Type.Optional(ClaimSpec.properties.image),
  resources: Type.Optional(ClaimSpec.properties.resources),
})

export const ListClaims = Type.Object({phase: Type.Optional(ClaimPhase)})

export const GpuClaim = Type.Object({
  id: Uuid,
  user_id: Type.Integer(),
  spec: ClaimSpec,
  status: Type.Object({
    phase: ClaimPhase,
    nodeName: Type.String(),
    nodeId: Type.String(),
    containerID: Type.String(),
    reason: Type.String(),
  }),
  accessUrl: Type.String({description: 'where its instance is seen and reached; empty unless it runs'}),
  created_at: Time,
  updated_at: Time,
})

export const GpuNode = Type.Object({
  id: Uuid,
  node_id: Type.Integer(),
  hostname: Type.String(),
  name: Type.String(),
  status: Type.Enum(['Registering', 'Online', 'Offline']),
  gpus: Type.Array(
    Type.Object({
      id: Type.Integer(),
      uuid: Type.String(),
      name: Type.String(),
      memory_total_mb: Nullable(Type.Number()),
      memory_used_mb: Nullable(Type.Number()),
      usage_percent: Nullable(Type.Number()),
      temperature_c: Nullable(Type.Number()),
    }),
  ),
  gpus_free: Type.Integer(),
  last_seen: Nullable(Time),
  created_at: Time,
  updated_at: Time,
})

/** `baseUrl`: where the caller reached the server. */
export function claimToWire(
  {id, spec, status, instanceId, createdAt, updatedAt}: Claim,
  {userNumber, baseUrl}: {userNumber: number; baseUrl: string},
): Static<typeof GpuClaim> {
  const {phase, nodeName, nodeId, containerId: containerID, reason} = status
  return {
    id,
    user_id: userNumber,
    spec: {image: spec.image, resources: {gpuCount: spec.gpus?.count ?? 0}},
    status: {phase, nodeName, nodeId, containerID, reason},
    accessUrl: phase === 'Running' ? `${baseUrl}/gpuctl/v1/instances/${instanceId}` : '',
    created_at: createdAt,
    updated_at: updatedAt,
  }
}

export function nodeToWire(node: Node): Static<typeof GpuNode> {
  return {
    id: node.id,
    node_id: node.number,
    hostname: node.hostname,
    name: node.name || node.hostname,
    status: statusWord(node),
    gpus: node.gpus.map(gpu => ({
      ...{id: gpu.index, uuid: gpu.uuid, name: gpu.model, memory_total_mb: gpu.memoryMiB},
      ...{memory_used_mb: gpu.memoryUsedMiB, usage_percent: gpu.utilizationPercent, temperature_c: gpu.temperatureC},
    })),
    gpus_free: node.gpusFree,
    last_seen: node.lastSeenAt,
    created_at: node.createdAt,
    updated_at: node.updatedAt,
  }
}

/** wire.md 6.4: this family has no word for a node that waits for approval, nor for one that is late. */
function statusWord({admission, liveness}: Node): Static<typeof GpuNode>['status'] {
  if (admission === 'blocked') return 'Offline'
  if (admission === 'pending' || liveness === 'never') return 'Registering'
  return liveness === 'online' ? 'Online' : 'Offline'
}
