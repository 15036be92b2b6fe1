import {type Static, Type} from 'typebox'
import type {Runtime} from '../../../contract/schemas/runtimes.ts'
import {problem} from '../../../domain/errors.ts'
import type {RuntimeBeat} from '../../../domain/runtimes.ts'
import type {RuntimeRegistrationInput} from '../../../domain/services/services.ts'

/** u32 and u64 as far as JSON carries them exactly. */
const U32 = Type.Integer({minimum: 0, maximum: 4_294_967_295})
const Bytes = Type.Integer({minimum: 0, maximum: Number.MAX_SAFE_INTEGER})
const Percent = Type.Number({minimum: 0, maximum: 100})
const Model = Type.String({maxLength: 256})
const Models = Type.Array(Model, {maxItems: 1024})

export const Registration = Type.Object({
  machine_name: Type.String({minLength: 1, maxLength: 253}),
  /** IPv4 or IPv6 literal. */
  ip_address: Type.String({minLength: 2, maxLength: 45}),
  runtime_version: Type.String({maxLength: 64}),
  /** The OpenAI-compatible API listens at the next port. */
  runtime_port: Type.Integer({minimum: 1024, maximum: 65_534}),
  gpu_available: Type.Boolean(),
  gpu_devices: Type.Array(
    Type.Object({
      model: Type.String({maxLength: 128}),
      count: U32,
      memory: Type.Optional(Bytes),
    }),
    {maxItems: 64},
  ),
  gpu_count: Type.Optional(U32),
  gpu_model: Type.Optional(Type.String({maxLength: 128})),
  supported_runtimes: Type.Optional(Type.Array(Type.String({maxLength: 64}), {maxItems: 64})),
})

export function registrationOf(body: Static<typeof Registration>): RuntimeRegistrationInput {
  return {
    machineName: body.machine_name,
    address: body.ip_address,
    port: body.runtime_port,
    runtimeVersion: body.runtime_version,
    gpuAvailable: body.gpu_available,
    gpuDevices: body.gpu_devices.map(({model, count, memory}) => ({model, count, memoryBytes: memory ?? null})),
    gpuCount: body.gpu_count,
    gpuModel: body.gpu_model,
    supportedRuntimes: body.supported_runtimes ?? [],
  }
}

/** Both pairs of names: the document's, and those of the nodes of its time (wire.md 1.8, item 1). */
export const Registered = Type.Object({
  runtime_id: Type.String(),
  node_id: Type.String(),
  runtime_token: Type.String(),
  node_token: Type.String(),
  status: Type.Enum(['registered', 'updated']),
  runtime_api_port: Type.Integer(),
  node_api_port: Type.Integer(),
})

export function registeredToWire(runtime: Runtime, token: string, isNew: boolean): Static<typeof Registered> {
  const {id, apiPort} = runtime
  return {
    ...{runtime_id: id, node_id: id, runtime_token: token, node_token: token},
    status: isNew ? 'registered' : 'updated',
    ...{runtime_api_port: apiPort, node_api_port: apiPort},
  }
}

const Sync = Type.Object({
  model_id: Type.String({maxLength: 256}),
  file: Type.String({maxLength: 1024}),
  downloaded_bytes: Bytes,
  total_bytes: Bytes,
})

export const Health = Type.Object({
  runtime_id: Type.Optional(Type.String({maxLength: 64})),
  node_id: Type.Optional(Type.String({maxLength: 64})),
  cpu_usage: Percent,
  memory_usage: Percent,
  active_requests: U32,
  gpu_usage: Type.Optional(Percent),
  gpu_memory_usage: Type.Optional(Percent),
  gpu_memory_total_mb: Type.Optional(Bytes),
  gpu_memory_used_mb: Type.Optional(Bytes),
  gpu_temperature: Type.Optional(Type.Number({minimum: -100, maximum: 1000})),
  gpu_model_name: Type.Optional(Type.String({maxLength: 128})),
  gpu_compute_capability: Type.Optional(Type.String({maxLength: 32})),
  gpu_capability_score: Type.Optional(Type.Integer({minimum: 0, maximum: 10_000})),
  average_response_time_ms: Type.Optional(Type.Number({minimum: 0})),
  loaded_models: Type.Optional(Models),
  loaded_embedding_models: Type.Optional(Models),
  loaded_asr_models: Type.Optional(Models),
  loaded_tts_models: Type.Optional(Models),
  supported_runtimes: Type.Optional(Type.Array(Type.String({maxLength: 64}), {maxItems: 64})),
  initializing: Type.Optional(Type.Boolean()),
  ready_models: Type.Optional(Type.Array(U32, {minItems: 2, maxItems: 2})),
  sync_state: Type.Optional(Type.Enum(['idle', 'running', 'success', 'failed'])),
  sync_progress: Type.Optional(Sync),
})

/** Throws input_invalid. */
export function beatOf(body: Static<typeof Health>): RuntimeBeat {
  const [ready, total] = body.ready_models ?? []
  if (ready !== undefined && total !== undefined && ready > total) {
    const fix = 'Give [ready, total], the first not above the second.'
    throw problem('input_invalid', {field: 'ready_models', problem: 'has more ready than there are.', fix})
  }
  const {sync_state: state, sync_progress: progress} = body
  return {
    load: {
      cpuPercent: body.cpu_usage,
      memoryPercent: body.memory_usage,
      activeRequests: body.active_requests,
      gpuPercent: body.gpu_usage ?? null,
      gpuMemoryPercent: body.gpu_memory_usage ?? null,
      gpuMemoryTotalMb: body.gpu_memory_total_mb ?? null,
      gpuMemoryUsedMb: body.gpu_memory_used_mb ?? null,
      gpuTemperatureC: body.gpu_temperature ?? null,
      gpuModelName: body.gpu_model_name ?? null,
      gpuComputeCapability: body.gpu_compute_capability ?? null,
      gpuCapabilityScore: body.gpu_capability_score ?? null,
      averageResponseMs: body.average_response_time_ms ?? null,
    },
    loaded: {
      chat: body.loaded_models,
      embedding: body.loaded_embedding_models,
      asr: body.loaded_asr_models,
      tts: body.loaded_tts_models,
    },
    supportedRuntimes: body.supported_runtimes ?? [],
    initializing: body.initializing ?? false,
    ready: ready === undefined || total === undefined ? undefined : {ready, total},
    sync: state && {state, progress: progress ? progressOf(progress) : null},
  }
}

function progressOf(told: Static<typeof Sync>): NonNullable<NonNullable<Runtime['sync']>['progress']> {
  const {model_id: modelId, file, downloaded_bytes: downloadedBytes, total_bytes: totalBytes} = told
  return {modelId, file, downloadedBytes, totalBytes}
}

/** Members that are not set are absent (wire.md 1.2). */
export const Node = Type.Object({
  id: Type.String(),
  machine_name: Type.String(),
  ip_address: Type.String(),
  runtime_version: Type.String(),
  runtime_port: Type.Integer(),
  status: Type.Enum(['pending', 'registering', 'online', 'offline']),
  registered_at: Type.String(),
  last_seen: Type.String(),
  online_since: Type.Optional(Type.String()),
  custom_name: Type.Optional(Type.String()),
  tags: Type.Array(Type.String()),
  notes: Type.Optional(Type.String()),
  loaded_models: Models,
  loaded_embedding_models: Models,
  loaded_asr_models: Models,
  loaded_tts_models: Models,
  executable_models: Type.Optional(Models),
  excluded_models: Type.Optional(Models),
  supported_runtimes: Type.Array(Type.String()),
  gpu_devices: Registration.properties.gpu_devices,
  gpu_available: Type.Boolean(),
  gpu_count: Type.Optional(Type.Integer()),
  gpu_model: Type.Optional(Type.String()),
  gpu_model_name: Type.Optional(Type.String()),
  gpu_compute_capability: Type.Optional(Type.String()),
  gpu_capability_score: Type.Optional(Type.Integer()),
  node_api_port: Type.Optional(Type.Integer()),
  initializing: Type.Boolean(),
  ready_models: Type.Optional(Type.Array(Type.Integer())),
  sync_state: Type.Optional(Type.String()),
  sync_progress: Type.Optional(Sync),
  sync_updated_at: Type.Optional(Type.String()),
})

export function nodeToWire(runtime: Runtime): Static<typeof Node> {
  const {loaded, load, ready, sync, excludedModels} = runtime
  return {
    id: runtime.id,
    machine_name: runtime.machineName,
    ip_address: runtime.address,
    runtime_version: runtime.runtimeVersion,
    runtime_port: runtime.port,
    status: runtime.status,
    registered_at: runtime.registeredAt,
    last_seen: runtime.lastSeenAt,
    online_since: runtime.onlineSince ?? undefined,
    custom_name: runtime.customName ?? undefined,
    tags: runtime.tags,
    notes: runtime.notes ?? undefined,
    loaded_models: loaded.chat,
    loaded_embedding_models: loaded.embedding,
    loaded_asr_models: loaded.asr,
    loaded_tts_models: loaded.tts,
    executable_models: runtime.models,
    excluded_models: excludedModels.length > 0 ? excludedModels : undefined,
    supported_runtimes: runtime.supportedRuntimes,
    gpu_devices: runtime.gpuDevices.map(({model, count, memoryBytes}) => ({
      ...{model, count},
      memory: memoryBytes ?? undefined,
    })),
    gpu_available: true,
    gpu_count: runtime.gpuCount,
    gpu_model: runtime.gpuModel,
    gpu_model_name: load?.gpuModelName ?? undefined,
    gpu_compute_capability: load?.gpuComputeCapability ?? undefined,
    gpu_capability_score: load?.gpuCapabilityScore ?? undefined,
    node_api_port: runtime.apiPort,
    initializing: runtime.initializing,
    ready_models: ready ? [ready.ready, ready.total] : undefined,
    sync_state: sync?.state,
    sync_progress: sync?.progress
      ? {
          model_id: sync.progress.modelId,
          file: sync.progress.file,
          downloaded_bytes: sync.progress.downloadedBytes,
          total_bytes: sync.progress.totalBytes,
        }
      : undefined,
    sync_updated_at: sync?.at,
  }
}
