import {arch, type as osType, release} from 'node:os'
import type {Inventory} from '../contract/agent-protocol.ts'
import type {Gpu} from '../contract/schemas/nodes.ts'
import type {GpuReading} from '../metrics/collector.ts'
import type {RuntimeDriver, RuntimeInfo} from '../runtime/driver.ts'

/** What this machine is, as the server wants to know it. An engine that never answered leaves its figures to the host. */
export function describeInventory({
  driver,
  engine,
  host,
  gpus,
  version,
}: {
  driver: Pick<RuntimeDriver, 'name' | 'facts'>
  engine: RuntimeInfo | undefined
  host: {cpus: number; memoryTotalMiB: number} | undefined
  gpus: readonly GpuReading[]
  version: string
}): Inventory {
  return {
    runtime: driver.name,
    runtimeVersion: engine?.version ?? '',
    cpus: engine?.cpus ?? host?.cpus ?? 0,
    memoryMiB: engine?.memoryMiB ?? host?.memoryTotalMiB ?? 0,
    os: engine?.os ?? `${osType()} ${release()}`,
    architecture: engine?.architecture ?? arch(),
    agentVersion: version,
    gpus: gpus.map(gpuOnWire),
    images: driver.facts.images,
  }
}

export function gpuOnWire(reading: GpuReading): Gpu {
  const {index, uuid, vendor, model, memoryMiB, memoryUsedMiB, utilizationPercent, temperatureC, powerW} = reading
  const {computeCapability, simulated} = reading
  return {
    index,
    uuid,
    vendor,
    model,
    memoryMiB,
    memoryUsedMiB,
    utilizationPercent,
    temperatureC,
    powerW,
    computeCapability,
    simulated,
  }
}

/** As `2 × RTX 4090 (simulated)`, for the operator who looks at the request to join. */
export function summarizeGpus(gpus: readonly {model: string; simulated: boolean}[]): string {
  const counts = new Map<string, number>()
  for (const {model, simulated} of gpus) {
    const name = simulated ? `${model} (simulated)` : model
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return [...counts].map(([name, count]) => `${count} × ${name}`).join(', ')
}
