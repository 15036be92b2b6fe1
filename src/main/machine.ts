import {join} from 'node:path'
import {Agent} from '../agent/agent.ts'
import {stateFile} from '../agent/state-file.ts'
import type {GpuCollector} from '../metrics/collector.ts'
import {HostSampler} from '../metrics/host.ts'
import {detectCollector} from '../metrics/registry.ts'
import {type Clock, sleep, systemClock} from '../platform/clock.ts'
import {exec} from '../platform/exec.ts'
import {ensurePrivateDirectory, readSecretFile, writeSecretFile} from '../platform/files.ts'
import {randomSecret} from '../platform/ids.ts'
import {type DirectoryLock, DirectoryLocked, lockDirectory} from '../platform/lock.ts'
import type {Logger} from '../platform/logger.ts'
import {detectRuntime, type RuntimeDriverName} from '../runtime/registry.ts'
import {openStorage, type StorageParts} from '../storage/registry.ts'
import type {LocalApiAddress} from './local-api.ts'
import {CannotStart} from './settings.ts'

const lockAgainMs = 100

/** Of every agent, joined or not. */
export interface AgentOptions {
  /** Where identity and state are kept. */
  directory: string
  version: string
  logger: Logger
  /** Absent: docker where an engine answers, else process. */
  runtime?: RuntimeDriverName
  /** As `2` or `2xRTX4090`: simulated cards in place of real ones. */
  fakeGpus?: string
  /** So long one that ends may take to leave the folder; nothing unless given. */
  lockWithinMs?: number
  /** Name under which the machine asks to join; its host name unless given. */
  name?: string
  /** Where the local API listens; absent: nowhere. */
  localApi?: LocalApiAddress
  /** Of its work; for tests. */
  clock?: Clock
  /** Programs and places of its storage, in place of the machine's own; for tests. */
  storage?: Partial<StorageParts>
}

/** The agent's folder is this process's alone; what the machine is, and its cards. */
export async function openMachine({directory, fakeGpus, lockWithinMs = 0}: AgentOptions) {
  await ensurePrivateDirectory(directory)
  const lock = await lockWithin(directory, lockWithinMs).catch(error => {
    if (!(error instanceof DirectoryLocked)) throw error
    const hint = 'An agent runs here already: see `gpuctl agent status`, end it with `gpuctl agent stop`.'
    throw new CannotStart(error.message, hint, {cause: error})
  })
  const machineKey = await readMachineKey(directory)
  const nodeSeed = machineKey.slice(0, 12)
  const gpus = await detectCollector({exec, env: process.env, now: Date.now, nodeSeed, fakeGpus})
  return {lock, machineKey, gpus}
}

async function lockWithin(directory: string, withinMs: number): Promise<DirectoryLock> {
  const deadlineMs = systemClock.monotonic() + withinMs
  for (;;) {
    try {
      return await lockDirectory(directory)
    } catch (error) {
      if (!(error instanceof DirectoryLocked) || systemClock.monotonic() >= deadlineMs) throw error
      await sleep(systemClock, lockAgainMs)
    }
  }
}

export async function openAgent({
  directory,
  serverId,
  nodeId,
  gpus,
  logger,
  version,
  clock = systemClock,
  runtime: name,
  storage,
}: AgentOptions & {serverId: string; nodeId: string; gpus: GpuCollector | undefined}): Promise<Agent> {
  const stateDirectory = join(directory, 'instances')
  const driver = await detectRuntime({name, serverId, nodeId, stateDirectory, clock})
  const storageHost = openStorage({directory: join(directory, 'storage'), templateImages: driver.templates, ...storage})
  return new Agent({
    ...{nodeId, gpus, clock, logger, version, driver},
    host: new HostSampler(),
    stateStore: stateFile(join(directory, 'state.json')),
    storage: storageHost,
    examine: async () => (await import('./agent-doctor.ts')).examineMachine({directory, storage: storageHost}),
  })
}

/** Made once and kept: by its fingerprint an operator can tell this machine from one that only has its name. */
async function readMachineKey(directory: string): Promise<string> {
  const path = join(directory, 'machine-key')
  const known = await readSecretFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (known) return known
  const key = randomSecret(32)
  await writeSecretFile(path, key)
  return key
}
