import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, Done, identity, Nullable, Time} from './common.ts'

const Models = Type.Array(Type.String())

/** An inference endpoint on a machine: it registers itself, is approved, beats, and is asked by the `/v1` proxy. */
export const Runtime = Type.Object({
  ...identity,
  /** Its custom name, else that of its machine. */
  name: Type.String(),
  machineName: Type.String(),
  /** pending until it is approved (and its machine admitted), then what its beats say. */
  status: Type.Enum(['pending', 'registering', 'online', 'offline']),
  approval: Type.Enum(['pending', 'approved']),
  /** The node of ours on which it runs. */
  nodeId: Nullable(Type.String()),
  node: Type.String(),
  address: Type.String(),
  port: Type.Integer(),
  /** Where its OpenAI-compatible API listens: port + 1. */
  apiPort: Type.Integer(),
  runtimeVersion: Type.String(),
  registeredAt: Time,
  lastSeenAt: Time,
  onlineSince: Nullable(Time),
  customName: Nullable(Type.String()),
  tags: Type.Array(Type.String()),
  notes: Nullable(Type.String()),
  gpuDevices: Type.Array(
    Type.Object({model: Type.String(), count: Type.Integer(), memoryBytes: Nullable(Type.Integer())}),
  ),
  gpuCount: Type.Integer(),
  gpuModel: Type.String(),
  supportedRuntimes: Type.Array(Type.String()),
  /** Listed by its API when it registered. */
  models: Models,
  /** Not asked until it registers again or comes back, because it failed with them. */
  excludedModels: Models,
  /** By kind: chat, embedding, speech to text, text to speech. */
  loaded: Type.Object({chat: Models, embedding: Models, asr: Models, tts: Models}),
  initializing: Type.Boolean(),
  ready: Nullable(Type.Object({ready: Type.Integer(), total: Type.Integer()})),
  /** Its last beat; null is unknown. Percent 0 to 100, memory in MB, temperature in °C, time in ms. */
  load: Nullable(
    Type.Object({
      at: Time,
      cpuPercent: Type.Number(),
      memoryPercent: Type.Number(),
      activeRequests: Type.Integer(),
      gpuPercent: Nullable(Type.Number()),
      gpuMemoryPercent: Nullable(Type.Number()),
      gpuMemoryTotalMb: Nullable(Type.Integer()),
      gpuMemoryUsedMb: Nullable(Type.Integer()),
      gpuTemperatureC: Nullable(Type.Number()),
      gpuModelName: Nullable(Type.String()),
      gpuComputeCapability: Nullable(Type.String()),
      gpuCapabilityScore: Nullable(Type.Integer()),
      averageResponseMs: Nullable(Type.Number()),
    }),
  ),
  /** The load is at most two minutes old. */
  isLoadFresh: Type.Boolean(),
  /** Its transfer of a model. */
  sync: Nullable(
    Type.Object({
      at: Time,
      state: Type.Enum(['idle', 'running', 'success', 'failed']),
      progress: Nullable(
        Type.Object({
          modelId: Type.String(),
          file: Type.String(),
          downloadedBytes: Type.Integer(),
          totalBytes: Type.Integer(),
        }),
      ),
    }),
  ),
  /** Of the proxy, since the server's start. */
  requests: Type.Object({
    active: Type.Integer(),
    total: Type.Integer(),
    succeeded: Type.Integer(),
    failed: Type.Integer(),
    averageMs: Nullable(Type.Number()),
  }),
})
export type Runtime = Static<typeof Runtime>

export const runtimes = {
  'runtimes.list': operation({
    summary: 'Inference runtimes, in the order in which they registered.',
    access: 'viewer',
    input: Type.Object({status: Type.Optional(Runtime.properties.status)}),
    output: Type.Array(Runtime),
  }),
  'runtimes.get': operation({summary: 'One inference runtime.', access: 'viewer', input: ById, output: Runtime}),
  'runtimes.approve': operation({
    summary: 'Let a waiting runtime be asked; a machine that still waits is admitted with it.',
    access: 'super_admin',
    input: ById,
    output: Runtime,
  }),
  'runtimes.delete': operation({
    summary: 'Forget a runtime; its token is worth nothing from now on.',
    access: 'super_admin',
    input: ById,
    output: Done,
  }),
}
