import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {Nothing, Nullable, Time, Uuid} from './common.ts'

/** Something that happened, in the order in which it was recorded. */
export const Event = Type.Object({
  number: Type.Integer({minimum: 1}),
  at: Time,
  /** What it happened to. */
  kind: Type.Enum(['node', 'claim', 'instance', 'user', 'token', 'image', 'spec', 'server', 'runtime', 'task']),
  objectId: Type.String(),
  objectName: Type.String(),
  /** Short and stable: `Approved`, `Scheduled`, `Started`, `Exited`, `NodeLost`, … */
  type: Type.String(),
  message: Type.String(),
  /** User name, node name, or `system`. */
  actor: Type.String(),
})
export type Event = Static<typeof Event>

/** The fleet on one screen. */
export const FleetStatus = Type.Object({
  serverId: Uuid,
  version: Type.String(),
  startedAt: Time,
  /** Where the SSH jump host listens, and its host key as known_hosts has it; null = there is none. */
  ssh: Nullable(
    Type.Object({
      host: Type.String(),
      port: Type.Integer(),
      fingerprint: Type.String(),
      publicKey: Type.String(),
    }),
  ),
  nodes: Type.Object({
    online: Type.Integer(),
    stale: Type.Integer(),
    offline: Type.Integer(),
    pending: Type.Integer(),
    blocked: Type.Integer(),
    cordoned: Type.Integer(),
    degraded: Type.Integer(),
  }),
  gpus: Type.Object({
    total: Type.Integer(),
    free: Type.Integer(),
    used: Type.Integer(),
    unavailable: Type.Integer(),
    /** So many of the total are simulated. */
    simulated: Type.Integer(),
  }),
  claims: Type.Object({pending: Type.Integer(), scheduled: Type.Integer(), running: Type.Integer()}),
  /** What is broken, in words. Empty when all is well. */
  problems: Type.Array(Type.String()),
})
export type FleetStatus = Static<typeof FleetStatus>

export const server = {
  'server.status': operation({
    summary: 'The fleet on one screen.',
    access: 'viewer',
    input: Nothing,
    output: FleetStatus,
  }),
  'server.version': operation({
    summary: 'Version and id of the server; open to all, so that clients can tell whom they meet.',
    access: 'public',
    input: Nothing,
    output: Type.Object({version: Type.String(), api: Type.String(), serverId: Uuid}),
  }),
  'ssh.tunnel': operation({
    summary: "A connection to the SSH jump host through the API's own port, over a WebSocket with frames both ways.",
    access: 'viewer',
    transport: 'socket',
    input: Nothing,
    output: Type.Object({}),
  }),
  'events.list': operation({
    summary: 'What happened, newest last.',
    access: 'viewer',
    input: Type.Object({
      kind: Type.Optional(Event.properties.kind),
      object: Type.Optional(Type.String({description: 'id or name'})),
      after: Type.Optional(Type.Integer({minimum: 0, description: 'only events with a greater number'})),
      limit: Type.Optional(Type.Integer({minimum: 1, maximum: 1000})),
    }),
    output: Type.Array(Event),
  }),
  'events.stream': operation({
    summary: 'What happens, as it happens.',
    access: 'viewer',
    transport: 'events',
    input: Type.Object({kind: Type.Optional(Event.properties.kind), object: Type.Optional(Type.String())}),
    output: Event,
  }),
}
