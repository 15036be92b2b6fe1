import type {Exec} from '../platform/exec.ts'
import type {GpuCollector} from './collector.ts'

export interface CollectorDeps {
  exec: Exec
  /** Environment; GPUCTL_NVIDIA_SMI, GPUCTL_AMD_SMI and GPUCTL_ROCM_SMI give a tool's path. */
  env: Readonly<Record<string, string | undefined>>
  /** Milliseconds since 1970. */
  now: () => number
  /** Sets this node's simulated cards apart from another's. */
  nodeSeed: string
  /** What `--fake-gpus` was given; default one card. */
  fakeGpus?: string
  /** How long one call of a vendor's tool may take. Default 5 s. */
  timeoutMs?: number
}

/** All collectors. One file each; a new one needs its line here, and the conformance suite then asks for its workplace. */
export const gpuCollectors: Record<GpuCollector['vendor'], (deps: CollectorDeps) => Promise<GpuCollector>> = {
  nvidia: async ({exec, env, timeoutMs}) => {
    const {NvidiaCollector} = await import('./nvidia.ts')
    return new NvidiaCollector({exec, file: env.GPUCTL_NVIDIA_SMI || undefined, timeoutMs})
  },
  amd: async ({exec, env, timeoutMs}) => {
    const {AmdCollector} = await import('./amd.ts')
    return new AmdCollector({
      exec,
      amdSmi: env.GPUCTL_AMD_SMI || undefined,
      rocmSmi: env.GPUCTL_ROCM_SMI || undefined,
      timeoutMs,
    })
  },
  fake: async ({fakeGpus = '1', nodeSeed, now}) => {
    const [{FakeCollector}, {parseFakeGpus}] = await Promise.all([import('./fake.ts'), import('./fake-gpus.ts')])
    return new FakeCollector({gpus: parseFakeGpus(fakeGpus), nodeSeed, now})
  },
}

/**
 * The collector for this host's GPUs, or undefined where there are none: simulated cards when `fakeGpus` asks for them, else
 * NVIDIA's, else AMD's. Throws FakeGpusError when `fakeGpus` cannot be read.
 */
export async function detectCollector(deps: CollectorDeps): Promise<GpuCollector | undefined> {
  if (deps.fakeGpus !== undefined) return gpuCollectors.fake(deps)
  for (const vendor of ['nvidia', 'amd'] as const) {
    const collector = await gpuCollectors[vendor](deps)
    if ((await collector.unavailable()) === undefined) return collector
    await collector.close()
  }
  return undefined
}
