import type {Inventory} from '../../src/contract/agent-protocol.ts'
import type {ClaimSpec} from '../../src/contract/schemas/claims.ts'
import type {Gpu} from '../../src/contract/schemas/nodes.ts'
import type {Offer} from '../../src/domain/placement.ts'

/** The fleet and the queue of the placement rows: four models, two memory sizes asked, ten priorities, 1 to 4 GPUs. */
export const models = [
  {model: 'NVIDIA GeForce RTX 4090', memoryMiB: 24_564},
  {model: 'NVIDIA A100-SXM4-80GB', memoryMiB: 81_920},
  {model: 'NVIDIA H100 80GB HBM3', memoryMiB: 81_559},
  {model: 'NVIDIA L40S', memoryMiB: 46_068},
] as const
export const gpusPerNode = 8

export function placementSpec(index: number): ClaimSpec {
  return {
    image: 'bench/none:1',
    gpus: {
      count: 1 + ((index * 7) % 4),
      // Another pace than the counts, so that every model is asked for with every count.
      model: models[(index >> 2) % models.length]!.model,
      minMemoryMiB: index % 3 === 0 ? 20_000 : 16_000,
    },
    priority: (index * 13) % 10,
  }
}

export function placementOffer(index: number): Offer {
  const {model, memoryMiB} = models[index % models.length]!
  return {
    nodeId: `node-${index}`,
    name: `node-${index}`,
    refusal: '',
    images: true,
    labels: {},
    cpus: 64,
    cpusFree: 64,
    memoryMiB: 524_288,
    memoryFreeMiB: 524_288,
    gpus: Array.from({length: gpusPerNode}, (_, gpu) => {
      const uuid = `GPU-${index}-${gpu}`
      return {index: gpu, uuid, model, memoryMiB, simulated: true, free: true}
    }),
  }
}

export function placementInventory(index: number): Inventory {
  const {model, memoryMiB} = models[index % models.length]!
  const gpus = Array.from({length: gpusPerNode}, (_, gpu): Gpu => {
    const unknown = {memoryUsedMiB: null, utilizationPercent: null, temperatureC: null, powerW: null}
    const uuid = `GPU-${index}-${gpu}`
    return {index: gpu, uuid, vendor: 'fake', model, memoryMiB, ...unknown, computeCapability: null, simulated: true}
  })
  const size = {cpus: 64, memoryMiB: 524_288, gpus, images: true}
  return {runtime: 'fake', runtimeVersion: '0', os: 'linux', architecture: 'x64', agentVersion: 'bench', ...size}
}
