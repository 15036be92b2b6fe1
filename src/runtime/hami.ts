import type {MountSettings} from 'dockerode'
import {type ContainerSpec, RuntimeError} from './driver.ts'

/**
 * Parts of GPUs by HAMi-core, a library that is loaded into every program of the container and limits its CUDA calls
 * (wire.md 3.3; its README names the variables). It is no wall: a program may leave the library out.
 */
const target = '/libvgpu/build'
/** HAMi-core wants this folder for its lock. Its cache of limits goes there, too: a memory file system, new at each start. */
export const lockFolder = '/tmp/vgpulock'

export function isSplit({gpus}: Pick<ContainerSpec, 'gpus'>): boolean {
  return gpus.some(({share}) => share)
}

/** Throws RuntimeError `invalid` where the folder is not one that may be bound (security T17). */
export function splitMounts(spec: ContainerSpec): MountSettings[] {
  if (!isSplit(spec)) return []
  const {hamiCore = ''} = spec
  if (!/^(\/[A-Za-z0-9][A-Za-z0-9._-]*)+$/.test(hamiCore)) {
    throw new RuntimeError('invalid', `${hamiCore || 'Nothing'} is not the folder of HAMi-core on this machine.`)
  }
  return [{Type: 'bind', Source: hamiCore, Target: target, ReadOnly: true}]
}

/** One figure where all cards are limited alike, else one for each card in the order that the container sees them. */
export function splitEnvironment(spec: Pick<ContainerSpec, 'gpus'>): Record<string, string> {
  if (!isSplit(spec)) return {}
  const shares = spec.gpus.flatMap(({share}) => share ?? [])
  return {
    LD_PRELOAD: `${target}/libvgpu.so`,
    ...limits(
      'CUDA_DEVICE_MEMORY_LIMIT',
      shares.map(({memoryMiB}) => memory(memoryMiB)),
    ),
    ...limits(
      'CUDA_DEVICE_SM_LIMIT',
      shares.map(({percent}) => String(percent)),
    ),
    CUDA_DEVICE_MEMORY_SHARED_CACHE: `${lockFolder}/cudevshr.cache`,
  }
}

function limits(name: string, values: readonly string[]): Record<string, string> {
  if (new Set(values).size === 1) return {[name]: values[0]!}
  return Object.fromEntries(values.map((value, index) => [`${name}_${index}`, value]))
}

function memory(mib: number): string {
  return mib % 1024 === 0 ? `${mib / 1024}g` : `${mib}m`
}
