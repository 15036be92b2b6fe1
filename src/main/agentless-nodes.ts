import {join} from 'node:path'
import type {Agent} from '../agent/agent.ts'
import type {Store} from '../domain/ports.ts'
import type {NodeRecord} from '../domain/records.ts'
import {keyContext} from '../domain/services/machines.ts'
import type {AgentSessions} from '../link/agent-sessions.ts'
import type {GpuCollector, GpuReading, HostSample} from '../metrics/collector.ts'
import {systemClock} from '../platform/clock.ts'
import {ensurePrivateDirectory} from '../platform/files.ts'
import type {Logger} from '../platform/logger.ts'
import type {KeyVault} from '../platform/vault.ts'

export interface AgentlessDependencies {
  store: Store
  sessions: AgentSessions
  vault: KeyVault
  serverId: string
  directory: string
  version: string
  logger: Logger
}

/** Machines whose Docker the server reaches itself: for each the very same agent, inside the server (architecture, idea 3). */
export class AgentlessNodes {
  readonly #deps: AgentlessDependencies
  readonly #running = new Map<string, {agent: Agent; about: string}>()
  #syncing: Promise<void> = Promise.resolve()

  constructor(deps: AgentlessDependencies) {
    this.#deps = deps
  }

  /** Starts and ends agents so that each active agentless node has one. May be called at any time. */
  sync(): Promise<void> {
    this.#syncing = this.#syncing.catch(() => {}).then(() => this.#sync())
    return this.#syncing
  }

  async close(): Promise<void> {
    await this.#syncing.catch(() => {})
    await Promise.all([...this.#running.values()].map(({agent}) => agent.stop()))
  }

  async #sync(): Promise<void> {
    const {store, logger} = this.#deps
    const active = await store.nodes.list({admission: 'active'})
    const wanted = new Map(active.filter(({docker}) => docker?.address).map(node => [node.id, node]))
    for (const [id, {about}] of this.#running) {
      const node = wanted.get(id)
      if (!node) await this.#end(id, 'the node was removed')
      else if (aboutOf(node) !== about) await this.#end(id, 'the node was changed')
    }
    for (const node of wanted.values()) {
      if (this.#running.has(node.id)) continue
      // One that cannot be reached as it is described must not keep the others from starting.
      await this.#start(node).catch(error => logger.warn({err: error, node: node.name}, 'its Docker cannot be used'))
    }
  }

  async #end(nodeId: string, reason: string): Promise<void> {
    const agent = this.#running.get(nodeId)?.agent
    this.#running.delete(nodeId)
    this.#deps.sessions.drop(nodeId, reason)
    await agent?.stop()
  }

  async #start(node: NodeRecord): Promise<void> {
    const {directory, serverId, version, logger, sessions} = this.#deps
    const folder = join(directory, 'agentless')
    await ensurePrivateDirectory(folder)
    const [{Agent}, {stateFile}, {linkPair}, {handlerForEachLink}] = await this.#loadAgent()
    const agent = new Agent({
      nodeId: node.id,
      driver: await this.#openDriver(node, serverId),
      gpus: declaredGpus(node),
      host: {sample: async () => unknownHost},
      stateStore: stateFile(join(folder, `${node.id}.json`)),
      clock: systemClock,
      logger,
      version,
    })
    await agent.start()
    this.#running.set(node.id, {agent, about: aboutOf(node)})
    sessions.adopt(node.id, linkPair(handlerForEachLink(agent)))
  }

  /** Most servers have no agentless node, and start sooner without an agent's code. */
  #loadAgent() {
    return Promise.all([
      import('../agent/agent.ts'),
      import('../agent/state-file.ts'),
      import('../link/in-process.ts'),
      import('./link-handlers.ts'),
    ])
  }

  async #openDriver(node: NodeRecord, serverId: string) {
    const {DockerDriver} = await import('../runtime/docker.ts')
    if (!node.docker) throw new Error(`Node ${node.name} has no Docker address.`)
    const {address, ca, cert, sealedKey} = node.docker
    const key = sealedKey ? await this.#deps.vault.open(sealedKey, keyContext(node.id)) : ''
    return new DockerDriver({...dockerEndpoint(address), ...(key ? {ca, cert, key} : {}), serverId, nodeId: node.id})
  }
}

/** What its agent was started with. */
function aboutOf({docker, declaredGpus}: NodeRecord): string {
  return JSON.stringify({docker, declaredGpus})
}

/** `unix:///path` or `tcp://HOST:PORT`. */
export function dockerEndpoint(address: string): {socketPath: string} | {host: string; port: number} {
  const url = new URL(address)
  if (url.protocol === 'unix:') return {socketPath: url.pathname}
  return {host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 2376)}
}

/** The server cannot look at the machine itself. */
const unknownHost: HostSample = {
  cpuPercent: null,
  cpus: 0,
  memoryTotalMiB: 0,
  memoryUsedMiB: 0,
  memoryPercent: 0,
  diskPercent: null,
  load1: 0,
  uptimeSeconds: 0,
  networkRxBytes: null,
  networkTxBytes: null,
}

/** The cards that the operator says are there; their index serves as identity, as Docker takes both. */
function declaredGpus({declaredGpus: declared}: NodeRecord): GpuCollector | undefined {
  if (!declared || declared.count === 0) return undefined
  const gpus = Array.from(
    {length: declared.count},
    (_, index): GpuReading => ({
      index,
      uuid: String(index),
      vendor: 'nvidia',
      model: declared.model,
      memoryMiB: declared.memoryMiB,
      memoryUsedMiB: null,
      utilizationPercent: null,
      temperatureC: null,
      powerW: null,
      computeCapability: null,
      devicePaths: [],
      parentUuid: null,
      simulated: false,
    }),
  )
  return {
    vendor: 'nvidia',
    unavailable: async () => undefined,
    sample: async () => ({state: 'ok', reason: '', driverVersion: null, gpus}),
    close: async () => {},
  }
}
