import {fileURLToPath} from 'node:url'
import type {Clock} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import type {DockerAddress} from './docker-engine.ts'
import {type RuntimeDriver, RuntimeError} from './driver.ts'

export type RuntimeDriverName = RuntimeDriver['name']

export interface RuntimeDeps {
  serverId: string
  /** Where several nodes share a Docker Engine: only this node's containers are ours. */
  nodeId?: string
  /** For the process runtime: one private folder in it for each instance. */
  stateDirectory: string
  clock: Clock
  logger?: Logger
  /** Default: DOCKER_HOST where it is a socket, else Docker's standing socket. */
  docker?: DockerAddress
  /** Default: where the build puts it. */
  supervisorPath?: string
  /** Default: this process's. DOCKER_HOST is read from it. */
  environment?: Readonly<Record<string, string | undefined>>
}

/** All drivers. One file each; a new one needs its line here, and the conformance suite then asks for its workplace. */
export const runtimeDrivers: Record<RuntimeDriverName, (deps: RuntimeDeps) => Promise<RuntimeDriver>> = {
  docker: async ({serverId, nodeId, docker, environment = process.env}) => {
    const {DockerDriver} = await import('./docker.ts')
    return new DockerDriver({...(docker ?? dockerAddress(environment)), serverId, nodeId})
  },
  process: async ({supervisorPath = builtSupervisor(), ...deps}) => {
    const {ProcessDriver} = await import('./process.ts')
    return new ProcessDriver({...deps, supervisorPath})
  },
  fake: async ({serverId, clock}) => {
    const {FakeDriver} = await import('./fake.ts')
    return new FakeDriver({serverId, clock})
  },
}

/**
 * The driver of that name, else Docker where an engine answers, else the process runtime. Throws RuntimeError
 * `unreachable` when a driver that was asked for by name cannot run here.
 */
export async function detectRuntime({name, ...deps}: RuntimeDeps & {name?: RuntimeDriverName}): Promise<RuntimeDriver> {
  if (name) return openNamed(name, deps)
  const docker = await runtimeDrivers.docker(deps)
  const reason = await docker.unavailable()
  if (reason === undefined) return docker
  await docker.close()
  deps.logger?.info({reason}, 'no Docker Engine answers: commands run as plain processes of this host')
  return openNamed('process', deps)
}

/** A named engine that is down now may come up: it is taken as it is. */
async function openNamed(name: RuntimeDriverName, deps: RuntimeDeps): Promise<RuntimeDriver> {
  const driver = await runtimeDrivers[name](deps)
  if (name === 'docker') return driver
  const reason = await driver.unavailable()
  if (reason) throw new RuntimeError('unreachable', reason)
  return driver
}

/** The engine of this host. One that is elsewhere is no matter of an agent: that is an agentless node. */
function dockerAddress({DOCKER_HOST: host}: Readonly<Record<string, string | undefined>>): DockerAddress {
  if (host?.startsWith('unix://')) return {socketPath: host.slice('unix://'.length)}
  return {socketPath: '/var/run/docker.sock'}
}

/** The same place for a source file and for a built chunk: both lie two folders deep. */
function builtSupervisor(): string {
  return fileURLToPath(new URL('../../dist/runtime/process-supervisor.cjs', import.meta.url))
}
