import {randomBytes} from 'node:crypto'
import {setMaxListeners} from 'node:events'
import {Agent} from '../agent/agent.ts'
import {JoinRefused, type JoinTransport, join} from '../agent/join.ts'
import {stateInMemory} from '../agent/state-file.ts'
import {apiPrefix} from '../contract/routes.ts'
import {LinkKeeper, type LinkState} from '../link/link-keeper.ts'
import type {HostSample} from '../metrics/collector.ts'
import {FakeCollector} from '../metrics/fake.ts'
import {type FakeGpu, parseFakeGpus} from '../metrics/fake-gpus.ts'
import {systemClock} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import {FakeDriver} from '../runtime/fake.ts'
import {joinTransport} from './join-transport.ts'
import {handlerForEachLink} from './link-handlers.ts'

export interface SimulationOptions {
  /** Base URL of the control server. */
  server: string
  /** Of `gpuctl token create`; admits each node without a code. */
  joinToken: string
  nodes: number
  /** GPUs of each node, as many, or as `8xH100-80GB`. 0: a fleet without GPUs. */
  gpus: number | string
  beatMs: number
  /** First part of the names of the nodes; another one for each run unless given. */
  namePrefix?: string
  logger: Logger
  signal: AbortSignal
  /** Called at every change; it should cost little. */
  onProgress: (progress: SimulationProgress) => void
}

/** How many nodes are where at this moment. */
export interface SimulationProgress {
  joined: number
  /** Their links are open. */
  up: number
  /** Not admitted: the server refused the token or the request. */
  refused: number
  /** What the last refusal or broken link said. */
  detail: string
}

/** Joins at the same time; each is a request and some polls. */
const joinsAtOnce = 50

/** Runs so many nodes in this process, each with a real link and a simulated engine, until the signal fires. Throws JoinRefused when none was admitted. */
export async function simulate(options: SimulationOptions): Promise<SimulationProgress> {
  const {nodes, gpus, namePrefix = `sim-${randomBytes(2).toString('hex')}`} = options
  const signal = AbortSignal.any([options.signal])
  setMaxListeners(0, signal) // each node that joins listens to it
  const transport = await joinTransport(options.server, signal)
  const cards = gpus === 0 ? [] : parseFakeGpus(String(gpus))
  const progress: SimulationProgress = {joined: 0, up: 0, refused: 0, detail: ''}
  const names = Array.from({length: nodes}, (_, index) => `${namePrefix}-${String(index + 1).padStart(4, '0')}`)
  const running: (() => Promise<void>)[] = []

  const joinNext = async () => {
    for (let name = names.shift(); name && !signal.aborted; name = names.shift()) {
      try {
        running.push(await startNode(name, {...options, signal, transport, cards, progress}))
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof JoinRefused)) throw error
        progress.refused += 1
        progress.detail = error.message
        options.onProgress(progress)
      }
    }
  }
  try {
    await Promise.all(Array.from({length: Math.min(joinsAtOnce, nodes)}, joinNext))
    if (progress.joined === 0 && progress.refused > 0) throw new JoinRefused(progress.detail)
    await aborted(signal)
    return {...progress}
  } finally {
    await Promise.all(running.map(stop => stop()))
  }
}

/** Resolves with what ends it, once the node belongs to the server. */
async function startNode(
  name: string,
  options: SimulationOptions & {transport: JoinTransport; cards: FakeGpu[]; progress: SimulationProgress},
): Promise<() => Promise<void>> {
  const {server, joinToken, beatMs, transport, cards, logger, signal, progress, onProgress} = options
  const version = GPUCTL_VERSION
  const identity = await join(
    server,
    {hostname: name, agentVersion: version, gpuSummary: `${cards.length} simulated GPUs`, joinToken},
    {transport, clock: systemClock, signal, progress: {code: () => {}, waiting: note}},
  )
  progress.joined += 1
  onProgress(progress)

  const agent = new Agent({
    nodeId: identity.nodeId,
    driver: new FakeDriver({serverId: identity.serverId, clock: systemClock}),
    gpus: cards.length ? new FakeCollector({gpus: cards, nodeSeed: name, now: Date.now}) : undefined,
    host: {sample: async () => idleHost},
    stateStore: stateInMemory(),
    clock: systemClock,
    logger,
    version,
    beatMs,
  })
  await agent.start()
  let isUp = false
  const keeper = new LinkKeeper({
    url: `${server.replace(/\/$/, '')}${apiPrefix}/link`,
    token: identity.nodeKey,
    handler: handlerForEachLink(agent),
    onState: (state: LinkState, detail) => {
      if (isUp !== (state === 'up')) progress.up += isUp ? -1 : 1
      isUp = state === 'up'
      if (state === 'down' || state === 'refused') note(detail)
      onProgress(progress)
    },
  })
  keeper.start()
  return async () => {
    await keeper.stop()
    await agent.stop()
  }

  function note(reason: string): void {
    progress.detail = reason
    onProgress(progress)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), {once: true})
  })
}

const idleHost: HostSample = {
  cpuPercent: 3,
  cpus: 64,
  memoryTotalMiB: 512 * 1024,
  memoryUsedMiB: 16 * 1024,
  memoryPercent: 3.1,
  diskPercent: 20,
  load1: 0.5,
  uptimeSeconds: 86_400,
  networkRxBytes: 0,
  networkTxBytes: 0,
}
