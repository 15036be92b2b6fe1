import type {AgentMetrics, Beat, Gpu} from '../contract/schemas/nodes.ts'

/** Above this a card counts as busy, whoever uses it. */
const busyPercent = 10

/** A beat in the words of document 004's node agent. `isAllocated`: the card was given to somebody, used or not. */
export function describeMetrics(
  beat: Omit<Beat, 'bootId' | 'sequence'>,
  {nodeId, isAllocated}: {nodeId: string; isAllocated: (gpuIndex: number) => boolean},
): AgentMetrics {
  const cpu = beat.cpuPercent ?? 0
  const total = beat.memoryTotalMiB ?? 0
  const used = beat.memoryUsedMiB ?? 0
  const memory = percent(used, total)
  return {
    node_id: nodeId,
    cpu_usage_percent: cpu,
    memory_usage_percent: memory,
    gpus: (beat.gpus ?? []).map(gpu => describeGpu(gpu, isAllocated(gpu.index))),
    system: {
      cpu_usage_percent: cpu,
      memory_usage_percent: memory,
      memory_total_mb: total,
      memory_used_mb: used,
      disk_usage_percent: beat.diskPercent ?? 0,
      load_average: beat.load1 ?? 0,
      uptime: beat.uptimeSeconds ?? 0,
    },
  }
}

function describeGpu(gpu: Gpu, isAllocated: boolean): AgentMetrics['gpus'][number] {
  const total = gpu.memoryMiB ?? 0
  const used = gpu.memoryUsedMiB ?? 0
  const usage = gpu.utilizationPercent ?? 0
  return {
    id: gpu.index,
    temperature_c: gpu.temperatureC ?? 0,
    memory_total_mb: total,
    memory_used_mb: used,
    name: gpu.model,
    uuid: gpu.uuid,
    busy: isAllocated || percent(used, total) > busyPercent || usage > busyPercent,
    usage_percent: usage,
  }
}

/** One decimal; 0 where there is no whole to be a part of. */
function percent(part: number, whole: number): number {
  return whole > 0 ? Math.round((part / whole) * 1000) / 10 : 0
}
