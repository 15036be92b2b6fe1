import {type ChildProcess, execFile, spawn} from 'node:child_process'
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import type Docker from 'dockerode'
import {onTestFinished} from 'vitest'
import {saveIdentity} from '../../src/agent/identity.ts'
import {Client} from '../../src/client/client.ts'
import {readText} from '../../src/client/transport.ts'
import type {InputOf} from '../../src/contract/contract.ts'
import {apiPrefix} from '../../src/contract/routes.ts'
import type {Claim} from '../../src/contract/schemas/claims.ts'
import type {Instance} from '../../src/contract/schemas/instances.ts'
import type {JoinStatus, Node} from '../../src/contract/schemas/nodes.ts'
import type {JumpHostSettings} from '../../src/gateway/ssh/settings.ts'
import {localApiTokenFile} from '../../src/main/local-api.ts'
import {startNodeAgent} from '../../src/main/node-agent.ts'
import type {Clock} from '../../src/platform/clock.ts'
import {ensurePrivateDirectory} from '../../src/platform/files.ts'
import {createStreamLogger} from '../../src/platform/logger.ts'
import {label} from '../../src/runtime/labels.ts'
import {collectGarbage, ServerProcess} from '../bench/server-process.ts'
import {controlPlane} from './control-plane.ts'
import {type Dockerd, dockerMissing, freePort, sharedDocker} from './docker.ts'
import {program} from './gpuctl.ts'
import {busyboxImage, dockerClient, ensureBusyboxImage} from './images.ts'
import {unmet} from './skips.ts'
import {temporaryDirectory} from './temporary-directory.ts'
import {eventually} from './wait.ts'

export interface WholeFleetOptions {
  /** The engine of the one machine; the one that the tests share unless given. */
  engine?: Dockerd
  /** What the agent takes for the engine's socket: one that stands in between. */
  agentSocketPath?: string
  /** As `2xRTX4090`, which is the default. */
  fakeGpus?: string
  /** `process`: as a program of its own, which can be killed. Default: in this process. */
  agent?: 'here' | 'process'
  server?: 'here' | 'process'
  /** A jump host at a free port; its settings hold for a server that is here. */
  ssh?: Partial<JumpHostSettings>
  /** Of an agent that is here. */
  agentClock?: Clock
  /** Of an agent that is here: its local API listens on a free port. */
  localApi?: true
}

type Submit = Partial<InputOf<'claims.submit'>>

/** A workload that runs until it is ended, and ends at once when it is asked to. */
export const sleeper = ['sh', '-c', 'trap "exit 0" TERM; echo begun; while :; do sleep 0.1; done']

/** Skips the running test where `wholeFleet` has no engine to run on. */
export async function needEngine(context: {skip(note?: string): never}): Promise<void> {
  const missing = unmet('busybox') ?? (await dockerMissing())
  if (missing) context.skip(missing)
}

/** A real control server, one admitted machine with its agent, and a real Docker Engine. All ends with the running test. */
export async function wholeFleet(options: WholeFleetOptions = {}): Promise<WholeFleet> {
  const engine = options.engine ?? (await sharedDocker())
  await ensureBusyboxImage(engine)
  const directory = await temporaryDirectory('gpuctl-fleet-')
  const server =
    options.server === 'process'
      ? await serverProcess(directory, options.ssh !== undefined)
      : await serverHere(options.ssh)
  const client = new Client({target: async () => server, userAgent: 'gpuctl-test', timeoutMs: 10_000})
  const {serverId, nodeId} = await admit(client, server.server, join(directory, 'agent'))
  const docker = dockerClient(engine)
  const fleet = new WholeFleet({...options, server, client, docker, directory, serverId, nodeId, engine})
  onTestFinished(() => fleet.end())
  await fleet.startAgent()
  await fleet.untilNode(node => node.connected && node.runtimeState === 'ok')
  return fleet
}

interface RunningServer {
  server: string
  token: string
  ssh?: {port: number; publicKey: string; directory: string}
  /** Where it is a process: its id, and a garbage collection in it. */
  pid?: number
  collectGarbage?(): Promise<void>
  stop(): Promise<unknown>
  /** At the address where it was. */
  startAgain(): Promise<void>
}

async function serverHere(settings?: Partial<JumpHostSettings>): Promise<RunningServer> {
  const addresses = [{host: '127.0.0.1', port: 0}]
  const plane = await controlPlane({addresses, ssh: settings && {port: 0, settings}})
  addresses[0] = {host: '127.0.0.1', port: Number(new URL(plane.url).port)}
  return {
    server: plane.url,
    token: plane.adminToken,
    ssh: plane.ssh && {...plane.ssh, directory: plane.directory},
    stop: () => plane.stop(),
    startAgain: () => plane.whileStopped(async () => {}),
  }
}

async function serverProcess(data: string, hasJumpHost: boolean): Promise<RunningServer> {
  const sshPort = hasJumpHost ? await freePort() : 0
  let running = await ServerProcess.start({program, data, sshPort, inspect: true})
  const {url: server, token, port} = running
  onTestFinished(async () => {
    await running.stop()
  })
  return {
    server,
    token,
    ssh: hasJumpHost
      ? {port: sshPort, ...(await hostKeyOf(server, token)), directory: join(data, 'server')}
      : undefined,
    pid: running.pid,
    collectGarbage: () => collectGarbage(data),
    stop: () => running.stop(),
    async startAgain() {
      running = await ServerProcess.start({program, data, sshPort, listen: `127.0.0.1:${port}`})
    },
  }
}

async function hostKeyOf(server: string, token: string): Promise<{publicKey: string}> {
  const client = new Client({target: async () => ({server, token}), userAgent: 'gpuctl-test', timeoutMs: 10_000})
  const {ssh} = await client.call('server.status', {})
  if (!ssh) throw new Error('The server has no jump host.')
  return {publicKey: ssh.publicKey}
}

/** Admits a machine, and writes down for its agent who it is. */
async function admit(client: Client, server: string, directory: string): Promise<{serverId: string; nodeId: string}> {
  const {code, pollSecret} = await client.call('nodes.join', {hostname: 'gpu-1'})
  await client.call('nodes.approve', {node: code})
  const path = `${apiPrefix}/nodes/join/${code}`
  const answer = await client.open({method: 'GET', path, headers: {'x-join-secret': pollSecret}})
  const {serverId, nodeId, name, nodeKey} = JSON.parse(await readText(await client.target(), answer)) as JoinStatus
  if (!serverId || !nodeId || !name || !nodeKey) throw new Error('The machine was not given its key.')
  await ensurePrivateDirectory(directory)
  await saveIdentity(join(directory, 'identity.json'), {server, serverId, nodeId, name, nodeKey})
  return {serverId, nodeId}
}

interface Parts extends Omit<WholeFleetOptions, 'server' | 'engine'> {
  server: RunningServer
  client: Client
  docker: Docker
  directory: string
  serverId: string
  nodeId: string
  engine: {socketPath: string}
}

interface RunningAgent {
  stop(): Promise<void>
  child?: ChildProcess
  localApi?: string
}

export class WholeFleet {
  readonly client: Client
  /** Straight to the engine, behind the agent's back. */
  readonly docker: Docker
  readonly server: RunningServer
  readonly serverId: string
  readonly nodeId: string
  readonly #parts: Parts
  readonly #agentLog: string[] = []
  #agent: RunningAgent | undefined
  #submitted = 0

  constructor(parts: Parts) {
    this.#parts = parts
    this.client = parts.client
    this.docker = parts.docker
    this.server = parts.server
    this.serverId = parts.serverId
    this.nodeId = parts.nodeId
  }

  async startAgent(): Promise<void> {
    const {agent, agentSocketPath, engine} = this.#parts
    const dockerHost = `unix://${agentSocketPath ?? engine.socketPath}`
    this.#agent = agent === 'process' ? this.#spawnAgent(dockerHost) : await this.#agentHere(dockerHost)
  }

  /** In peace. */
  async stopAgent(): Promise<void> {
    const agent = this.#agent
    this.#agent = undefined
    await agent?.stop()
  }

  /** Only where the agent is a process. Resolves when it is gone; it had no time for anything. */
  async killAgent(): Promise<void> {
    const child = this.#agent?.child
    if (!child || child.exitCode !== null) throw new Error(`There is no agent to kill: ${this.agentLog()}`)
    const gone = new Promise<NodeJS.Signals | null>(resolve => child.once('exit', (_, signal) => resolve(signal)))
    child.kill('SIGKILL')
    this.#agent = undefined
    if ((await gone) !== 'SIGKILL') throw new Error('The agent ended by itself before it was killed.')
  }

  /** Where the agent's local API is, and its token. */
  async localApi(): Promise<{url: string; token: string}> {
    const url = this.#agent?.localApi
    if (!url) throw new Error('The agent has no local API.')
    const token = await readFile(join(this.#parts.directory, 'agent', localApiTokenFile), 'utf8')
    return {url, token: token.trim()}
  }

  /** What the agents have said so far. */
  agentLog(): string {
    return this.#agentLog.join('')
  }

  async end(): Promise<void> {
    await this.stopAgent()
    if ('kill9' in this.#parts.engine) return // its containers go with it
    for (const {Id} of await this.containers()) await this.docker.getContainer(Id).remove({force: true, v: true})
  }

  /** A sleeper that wants no GPU, unless said. */
  submit(spec: Submit = {}): Promise<Claim> {
    const name = `work-${++this.#submitted}`
    return this.client.call('claims.submit', {name, image: busyboxImage, command: sleeper, ...spec})
  }

  /** As submit; resolves when it runs. */
  async running(spec: Submit = {}): Promise<Claim> {
    const {id} = await this.submit(spec)
    return this.untilClaim(id, ({status}) => status.phase === 'Running')
  }

  claim(id: string): Promise<Claim> {
    return this.client.call('claims.get', {id})
  }

  instance({instanceId}: Pick<Claim, 'instanceId'>): Promise<Instance> {
    return this.client.call('instances.get', {id: instanceId})
  }

  node(): Promise<Node> {
    return this.client.call('nodes.get', {id: this.nodeId})
  }

  untilClaim(id: string, isAsWanted: (claim: Claim) => boolean, withinMs = 15_000): Promise<Claim> {
    return until(() => this.claim(id), isAsWanted, withinMs)
  }

  untilInstance(claim: Claim, isAsWanted: (instance: Instance) => boolean, withinMs = 15_000): Promise<Instance> {
    return until(() => this.instance(claim), isAsWanted, withinMs)
  }

  untilNode(isAsWanted: (node: Node) => boolean, withinMs = 15_000): Promise<Node> {
    return until(() => this.node(), isAsWanted, withinMs)
  }

  /** Of this fleet, running or not; of one claim where it is given. */
  containers(claim?: Pick<Claim, 'id'>): Promise<Docker.ContainerInfo[]> {
    const wanted = [`${label.server}=${this.serverId}`, ...(claim ? [`${label.claim}=${claim.id}`] : [])]
    return this.docker.listContainers({all: true, filters: {label: wanted}})
  }

  async container(claim: Pick<Claim, 'id'>): Promise<Docker.ContainerInspectInfo> {
    const [only, ...more] = await this.containers(claim)
    if (!only || more.length > 0) throw new Error(`The claim has ${more.length + (only ? 1 : 0)} containers.`)
    return this.docker.getContainer(only.Id).inspect()
  }

  /** Output so far, standard output only. */
  async output(claim: Claim): Promise<string> {
    let text = ''
    for await (const {payload} of this.client.bytes('instances.logs', {id: claim.instanceId, stderr: false})) {
      text += new TextDecoder().decode(payload).replace(/^\{"(exit|last)".*/s, '')
    }
    return text
  }

  /** Runs `gpuctl …args` as its administrator. */
  cli(args: string[]): Promise<{code: number | null; stdout: string; stderr: string}> {
    return new Promise(resolve => {
      execFile(
        process.execPath,
        [program, ...args],
        {env: this.cliEnvironment, timeout: 20_000},
        (error, stdout, stderr) => resolve({code: error ? Number(error.code) : 0, stdout, stderr}),
      )
    })
  }

  /** For programs that this fleet's administrator runs. */
  get cliEnvironment(): NodeJS.ProcessEnv {
    const {directory, server} = this.#parts
    const known = {GPUCTL_CONFIG_DIR: directory, GPUCTL_DATA_DIR: directory, GPUCTL_CACHE_DIR: directory}
    const reached = {GPUCTL_SERVER: server.server, GPUCTL_TOKEN: server.token}
    return {PATH: process.env.PATH, HOME: directory, NO_COLOR: '1', ...known, ...reached}
  }

  /** Where the fleet at rest breaks a promise (reliability I1, I6, I7, I8): none is right. */
  async faults(): Promise<string[]> {
    const containers = await this.containers()
    const claims = await this.client.call('claims.list', {limit: 1000})
    const byId = new Map(claims.map(claim => [claim.id, claim]))
    const holders = new Map<number, string>()
    const faults: string[] = []
    const hold = (index: number, who: string) => {
      const other = holders.get(index)
      if (other !== undefined && other !== who) faults.push(`I1: GPU ${index} is held by ${other} and ${who}`)
      holders.set(index, who)
    }
    for (const {id, status} of claims) {
      if (status.phase === 'Scheduled' || status.phase === 'Running') for (const {index} of status.gpus) hold(index, id)
    }
    for (const {Labels, State, Names} of containers) {
      const claim = byId.get(Labels[label.claim] ?? '')
      if (!claim) faults.push(`I6: nobody knows ${Names}`)
      if (State !== 'running') continue
      for (const index of (Labels[label.gpus] ?? '').split(',')) if (index !== '') hold(Number(index), claim?.id ?? '?')
      const isCurrent = claim?.status.phase === 'Running' && String(claim.status.epoch) === Labels[label.epoch]
      if (!isCurrent) faults.push(`I8: ${Names} runs, and its claim is ${claim?.status.phase}`)
    }
    for (const claim of claims) {
      if (claim.status.phase !== 'Running' || claim.status.reason !== '') continue
      const own = containers.filter(({Labels, State}) => Labels[label.claim] === claim.id && State === 'running')
      if (own.length !== 1) faults.push(`I7: ${claim.name} is Running and has ${own.length} running containers`)
    }
    return faults
  }

  async #agentHere(dockerHost: string): Promise<RunningAgent> {
    const stopping = new AbortController()
    const before = process.env.DOCKER_HOST
    process.env.DOCKER_HOST = dockerHost // read once, while the agent starts
    try {
      const agent = await startNodeAgent({
        server: this.server.server,
        directory: join(this.#parts.directory, 'agent'),
        version: '0.0.0-test',
        logger: createStreamLogger({level: 'debug', stream: {write: line => void this.#agentLog.push(line)}}),
        runtime: 'docker',
        fakeGpus: this.#parts.fakeGpus ?? '2xRTX4090',
        onJoin: {code: () => {}, waiting: () => {}},
        onLink: (state, detail) => void this.#agentLog.push(`link ${state} ${detail}\n`),
        signal: stopping.signal,
        clock: this.#parts.agentClock,
        localApi: this.#parts.localApi && {host: '127.0.0.1', port: 0, isDefault: false},
      })
      return {stop: () => agent.stop(), localApi: agent.localApi}
    } finally {
      if (before === undefined) delete process.env.DOCKER_HOST
      else process.env.DOCKER_HOST = before
    }
  }

  #spawnAgent(dockerHost: string): RunningAgent {
    const {directory, fakeGpus = '2xRTX4090'} = this.#parts
    const args = ['agent', 'start', '--server', this.server.server, '--runtime', 'docker', '--fake-gpus', fakeGpus]
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {PATH: process.env.PATH, HOME: directory, GPUCTL_DATA_DIR: directory, DOCKER_HOST: dockerHost},
    })
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding('utf8').on('data', piece => void this.#agentLog.push(piece))
    }
    const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
    return {
      child,
      stop: async () => {
        child.kill('SIGTERM')
        await ended
      },
    }
  }
}

async function until<T>(look: () => Promise<T>, isAsWanted: (seen: T) => boolean, withinMs: number): Promise<T> {
  let last: T | undefined
  const looked = async () => {
    last = await look()
    return isAsWanted(last) ? last : undefined
  }
  return eventually(looked, {withinMs, everyMs: 30, what: isAsWanted.toString()}).catch(error => {
    throw new Error(`${(error as Error).message}\nIt was ${JSON.stringify(last)}`, {cause: error})
  }) as Promise<T>
}
