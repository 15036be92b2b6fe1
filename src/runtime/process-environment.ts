import type {ContainerSpec} from './driver.ts'
import {label} from './labels.ts'
import {instanceMarker} from './process-group.ts'

/** What a workload may take over from the agent's environment. A list of what is let through: the agent's own holds secrets. */
const passed = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'LD_LIBRARY_PATH',
  'CUDA_HOME',
  'CUDA_PATH',
]

/** The whole environment of an instance. Cards that are not its own are hidden from the vendors' libraries. */
export function processEnvironment(
  {env, gpus, labels}: ContainerSpec,
  containerId: string,
  agentEnvironment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const base: Record<string, string> = {}
  for (const key of passed) {
    const value = agentEnvironment[key]
    if (value !== undefined) base[key] = value
  }
  const of = (vendor: string) => gpus.filter(gpu => gpu.vendor === vendor)
  const fakes = of('fake').map(gpu => gpu.index)
  return {
    ...base,
    ...env,
    CUDA_VISIBLE_DEVICES: of('nvidia')
      .map(gpu => gpu.uuid)
      .join(','),
    ROCR_VISIBLE_DEVICES: of('amd')
      .map(gpu => gpu.index)
      .join(','),
    ...(fakes.length > 0 ? {GPUCTL_FAKE_GPUS: fakes.join(',')} : {}),
    GPUCTL_GPUS: gpus.map(gpu => gpu.index).join(','),
    GPUCTL_CLAIM: labels[label.claim] ?? '',
    GPUCTL_INSTANCE: labels[label.instance] ?? '',
    [instanceMarker]: containerId,
  }
}
