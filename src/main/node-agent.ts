import {createHash} from 'node:crypto'
import {rm} from 'node:fs/promises'
import {hostname, networkInterfaces} from 'node:os'
import {join as joinPath} from 'node:path'
import {type Identity, loadIdentity, saveIdentity} from '../agent/identity.ts'
import {summarizeGpus} from '../agent/inventory.ts'
import {type JoinProgress, join, type KeptRequest} from '../agent/join.ts'
import type {Replaceable} from '../agent/program-calls.ts'
import {RuntimeReporter, type RuntimeReportState} from '../agent/runtime-reporter.ts'
import {apiPrefix} from '../contract/routes.ts'
import type {JoinReply, JoinRequest} from '../contract/schemas/nodes.ts'
import {LinkKeeper, type LinkState} from '../link/link-keeper.ts'
import type {GpuCollector} from '../metrics/collector.ts'
import {HostSampler} from '../metrics/host.ts'
import {type Clock, systemClock} from '../platform/clock.ts'
import {readSecretFile, writeSecretFile} from '../platform/files.ts'
import {joinTransport} from './join-transport.ts'
import {handlerForEachLink} from './link-handlers.ts'
import {startWithLocalApi} from './local-api.ts'
import {type AgentOptions, openAgent, openMachine} from './machine.ts'
import {CannotStart} from './settings.ts'

export interface NodeAgentOptions extends AgentOptions {
  /** Base URL of the control server. */
  server: string
  joinToken?: string
  /** Port as which the inference runtime of this machine registers; its API listens at the next one. */
  runtimePort?: number
  /** Name of that runtime; the node's unless given. */
  runtimeName?: string
  onRuntime?: (state: RuntimeReportState, detail: string) => void
  labels?: Record<string, string>
  /** Absent: the agent cannot be replaced by its server. */
  replaceable?: Replaceable
  onJoin: JoinProgress
  onLink: (state: LinkState, detail: string, name: string) => void
  signal: AbortSignal
}

export interface RunningAgent {
  identity: Identity
  runtime: string
  /** URL of the local API; undefined where it is off, or its address was taken. */
  localApi: string | undefined
  stop(): Promise<void>
}

/** Joins where that is still to do, then keeps the link open. Resolves once the machine belongs to the server. */
export async function startNodeAgent(options: NodeAgentOptions): Promise<RunningAgent> {
  const {directory, server, version, signal, clock = systemClock} = options
  const {lock, machineKey, gpus} = await openMachine(options)
  const transport = await joinTransport(server, signal)
  const identityPath = joinPath(directory, 'identity.json')
  let identity = await loadIdentity(identityPath)
  if (identity) {
    const {body} = await transport('GET', '/version', {}).catch(() => ({body: undefined}))
    const found = (body as {serverId?: string} | undefined)?.serverId
    if (found && found !== identity.serverId) {
      throw new CannotStart(
        `This machine belongs to another server (${identity.server}).`,
        `To join ${server} instead: gpuctl agent reset.`,
      )
    }
  } else {
    const sample = await gpus?.sample()
    const request: JoinRequest = {
      hostname: options.name ?? hostname(),
      claimedAddress: ownAddress(),
      fingerprint: `SHA256:${createHash('sha256').update(machineKey).digest('base64')}`,
      agentVersion: version,
      gpuSummary: summarizeGpus(sample?.gpus ?? []).slice(0, 256),
      joinToken: options.joinToken,
      labels: options.labels,
    }
    const kept = keptRequest(joinPath(directory, 'join-request.json'), server, request)
    identity = await join(server, request, {transport, clock, signal, progress: options.onJoin, kept})
    await saveIdentity(identityPath, identity)
    await kept.forget()
  }

  const {serverId, nodeId, nodeKey, name} = identity
  const agent = await openAgent({...options, serverId, nodeId, gpus})
  const started = await startWithLocalApi({...options, lock, agent, nodeId, owner: server})
  const keeper = new LinkKeeper({
    url: `${server.replace(/\/$/, '')}${apiPrefix}/link`,
    token: nodeKey,
    handler: handlerForEachLink(agent, options.replaceable),
    onState: (state, detail) => options.onLink(state, detail, name),
  })
  keeper.start()
  const reporting = reportRuntime(options, {identity, gpus, clock})
  return {
    identity,
    runtime: agent.driver.name,
    localApi: started.localApi,
    async stop() {
      await reporting.stop()
      await keeper.stop()
      await started.stop()
    },
  }
}

/** Beats for the inference runtime of this machine where there is to be one. */
function reportRuntime(
  options: NodeAgentOptions,
  {identity, gpus, clock}: {identity: Identity; gpus: GpuCollector | undefined; clock: Clock},
): {stop(): Promise<void>} {
  const {runtimePort: port, runtimeName, server, version, logger, directory, onRuntime = () => {}} = options
  if (port === undefined) return {stop: async () => {}}
  const stopping = new AbortController()
  const path = joinPath(directory, 'runtime.json')
  const reporter = new RuntimeReporter({
    ...{server, port, version, logger, clock, signal: stopping.signal},
    nodeKey: identity.nodeKey,
    name: runtimeName ?? identity.name,
    gpus: async () => (await gpus?.sample())?.gpus ?? [],
    host: new HostSampler(),
    kept: {
      load: () =>
        readSecretFile(path).then(
          text => JSON.parse(text),
          () => undefined,
        ),
      save: kept => writeSecretFile(path, JSON.stringify(kept)),
    },
    onState: onRuntime,
  })
  const running = reporter.run().catch(error => logger.error({err: error}, 'the inference runtime is reported no more'))
  return {
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** Good for the same request to the same server, as long as its code lives. The file holds the secret of the poll: 0600. */
function keptRequest(path: string, server: string, request: JoinRequest): KeptRequest & {forget(): Promise<void>} {
  const asked = createHash('sha256')
    .update(JSON.stringify([server, request]))
    .digest('hex')
  return {
    async load() {
      const known = await readSecretFile(path)
        .then(text => JSON.parse(text) as {asked?: string; reply?: JoinReply})
        .catch(() => ({asked: undefined, reply: undefined}))
      const isGood = known.asked === asked && known.reply && Date.parse(known.reply.expiresAt) > Date.now()
      return isGood ? known.reply : undefined
    },
    save: reply => writeSecretFile(path, JSON.stringify({asked, reply})),
    forget: () => rm(path, {force: true}),
  }
}

function ownAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap(list => list ?? [])
  return (all.find(one => !one.internal && one.family === 'IPv4') ?? all.find(one => !one.internal))?.address
}
