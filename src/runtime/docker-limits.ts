import type {ContainerInspectInfo} from 'dockerode'
import type {DockerEngine} from './docker-engine.ts'
import {readStats, type StatsFrame} from './docker-stats.ts'
import {type ContainerLimits, RuntimeError} from './driver.ts'

const mebibyte = 1024 * 1024

/** The engine keeps them for every later start. Less memory than is used is refused: the kernel would end the workload. */
export async function limitContainer(
  engine: DockerEngine,
  {Id, State}: ContainerInspectInfo,
  {cpus, memoryMiB}: ContainerLimits,
): Promise<void> {
  if (memoryMiB !== undefined && State.Running) {
    const usedMiB = await memoryUsed(engine, Id)
    if (usedMiB > memoryMiB)
      throw new RuntimeError('invalid', `${usedMiB} MiB of memory are in use, and the limit would be ${memoryMiB} MiB.`)
  }
  const memory = memoryMiB === undefined ? {} : {Memory: memoryMiB * mebibyte, MemorySwap: memoryMiB * mebibyte}
  const update = {...memory, ...(cpus === undefined ? {} : {NanoCpus: Math.round(cpus * 1e9)})}
  await engine.call('Changing the limits of the container', docker => docker.getContainer(Id).update(update))
}

async function memoryUsed(engine: DockerEngine, id: string): Promise<number> {
  const frame = await engine.call('Reading statistics', docker =>
    docker.getContainer(id).stats({stream: false, 'one-shot': true}),
  )
  return Math.ceil((readStats(frame as StatsFrame, undefined).memoryUsageBytes ?? 0) / mebibyte)
}
