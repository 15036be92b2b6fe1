import {randomBytes} from 'node:crypto'
import {join} from 'node:path'
import type {Duplex} from 'node:stream'
import {createControllers} from '../controllers/manager.ts'
import {FleetMemory} from '../domain/fleet-memory.ts'
import {Journal} from '../domain/journal.ts'
import {recipes} from '../domain/recipes/recipes.ts'
import type {SessionClaims} from '../domain/security-ports.ts'
import {createServices} from '../domain/services/create-services.ts'
import type {Services} from '../domain/services/services.ts'
import type {SshDoor} from '../domain/session.ts'
import {TaskFeed} from '../domain/task-feed.ts'
import type {ProxySettings} from '../gateway/proxy/inference-proxy.ts'
import {HttpRuntimeProbe, type probeLimits} from '../gateway/runtime-probe.ts'
import type {JumpHost} from '../gateway/ssh/jump-host.ts'
import type {JumpHostSettings} from '../gateway/ssh/settings.ts'
import {AgentSessions} from '../link/agent-sessions.ts'
import type {ServerLink} from '../link/server-end.ts'
import {SvgPainter} from '../platform/captcha-painter.ts'
import {systemClock} from '../platform/clock.ts'
import {DialGuard} from '../platform/dial-guard.ts'
import {ensurePrivateDirectory} from '../platform/files.ts'
import {newId, sha256Hex} from '../platform/ids.ts'
import {lockDirectory} from '../platform/lock.ts'
import type {Logger} from '../platform/logger.ts'
import {Passwords} from '../platform/passwords.ts'
import {type Rollback, withRollback} from '../platform/rollback.ts'
import {Tokens} from '../platform/tokens.ts'
import {KeyVault} from '../platform/vault.ts'
import {createApp} from '../server/app.ts'
import {close, type ListenAddress, listen, type Tls} from '../server/listen.ts'
import {openStore} from '../store/open.ts'
import {AgentlessNodes, dockerEndpoint} from './agentless-nodes.ts'
import {dialSsh} from './dial-ssh.ts'
import {pingEngines} from './engine-pings.ts'
import {ownId, prepareFirstStart} from './first-start.ts'
import {fleetOf} from './fleet.ts'
import {followRequestsPerRuntime, inferenceWhenUsed} from './inference.ts'
import {watchMachine} from './machine-watch.ts'
import {fingerprintOf, ownCertificate} from './own-certificate.ts'
import {ownProgram} from './own-program.ts'
import {removeRunFile, writeRunFile} from './run-file.ts'
import {loadServerSecrets} from './server-secrets.ts'
import {CannotStart, hamiCoreFolders} from './settings.ts'

export interface ControlServerOptions {
  /** Store, keys and run file; 0700. */
  directory: string
  addresses: readonly ListenAddress[]
  exposed: boolean
  /** Where not given as PEM texts: of our own, made at the first start. */
  tls?: Tls | 'self-signed'
  /** Paths where the texts come from, for whoever starts it again. */
  tlsFiles?: {cert: string; key: string}
  /** The SSH jump host, beside the first address; absent: none. Port 0 = a free one. */
  ssh?: {port: number; settings?: Partial<JumpHostSettings>}
  /** `postgres://…`; absent: a SQLite file in the directory. */
  database?: string
  version: string
  logger: Logger
  env?: NodeJS.ProcessEnv
  /** Of the look at a runtime that registers; for tests. */
  probe?: Partial<typeof probeLimits>
  /** The store is beyond trust: the process has to end (reliability F12). */
  onFatal: (error: unknown) => void
  /** Bounds of the calls of models; what is not given has its default. */
  inference?: Partial<ProxySettings>
}

export interface RunningServer {
  urls: string[]
  serverId: string
  /** SHA-256 of the certificate; undefined without TLS. */
  fingerprint: string | undefined
  ssh: SshDoor | undefined
  /** Of the administrator that this start made with a random password. */
  firstPassword?: string
  /** Ends streams and links, finishes what is under way within the grace, closes the store. Again: cuts at once. */
  stop(graceMs?: number): Promise<void>
}

/** Audience of the login tokens: a token of a node is none of them. */
const audience = 'gpuctl'

/** Puts the control server together and lets it listen. When that fails, what was opened is closed again. */
export function startControlServer(options: ControlServerOptions): Promise<RunningServer> {
  return withRollback(rollback => start(options, rollback))
}

async function start(options: ControlServerOptions, rollback: Rollback): Promise<RunningServer> {
  const {directory, logger, version, env = process.env} = options
  const startedAt = new Date().toISOString()
  await ensurePrivateDirectory(directory)
  const lock = await lockDirectory(directory)
  rollback.add('lock', () => lock.release())
  const opening = openStore({at: options.database ?? join(directory, 'server.db'), onFatal: options.onFatal})
  rollback.add('store', async () => (await opening.catch(() => undefined))?.close())
  const [store, keys] = await Promise.all([opening, loadServerSecrets(directory, env)])
  const serverId = await ownId(store)
  const clock = systemClock
  const memory = new FleetMemory({clock})
  const journal = new Journal({store, clock})
  const taskFeed = new TaskFeed()
  const passwords = new Passwords()
  const vault = new KeyVault(keys.vaultKey)
  const nodes = await store.nodes.list({})
  const names = new Map(nodes.map(({id, name, hostname}) => [id, name || hostname]))
  const guard = dialGuard(env)
  let jumpHost: JumpHost | undefined
  const sessions: AgentSessions = new AgentSessions({
    logger,
    owner: {
      opened: nodeId => services.nodes.linkOpened(nodeId),
      closed: (nodeId, reason) => services.nodes.linkClosed(nodeId, reason),
      report: (nodeId, report) => services.nodes.report(nodeId, report),
    },
  })
  const fleet = fleetOf(sessions, nodeId => names.get(nodeId) ?? nodeId)
  const secrets = {random: randomBytes, sha256: sha256Hex, uuid: newId}
  const program = ownProgram(version)
  const controllers = createControllers({
    ...{store, journal, memory, fleet, clock, secrets, vault, serverId, recipes, taskFeed, program},
    onError: (controller, key, error) =>
      logger.warn({controller, key, err: error}, 'a reconcile failed and is repeated'),
  })
  const services: Services = createServices({
    ...{store, journal, memory, fleet, clock, passwords, secrets, vault, taskFeed, program},
    probeEngine: async ({address, ...tls}) => {
      const {probeEngine} = await import('../runtime/engine-probe.ts')
      return probeEngine({...dockerEndpoint(address), ...(tls.key ? tls : {})})
    },
    hamiCoreFolders: hamiCoreFolders(env),
    queue: controllers.queue,
    runtimeProbe: new HttpRuntimeProbe({guard, clock, limits: options.probe}),
    wake: controllers.wake,
    captchaPainter: new SvgPainter(),
    sessions: new Tokens<SessionClaims>({keys: keys.tokenKeys, issuer: serverId, audience}),
    server: {id: serverId, version, startedAt, exposed: options.exposed, ssh: () => jumpHost?.door, dialSsh},
    machine: watchMachine(),
  })
  const agentless = new AgentlessNodes({store, sessions, vault, serverId, directory, version, logger})
  const syncAgentless = () => {
    void agentless.sync().catch(error => logger.warn({err: error}, 'an agentless node did not start'))
  }
  const dismiss = async (nodeId: string) => {
    await controllers
      .dismissNode(nodeId)
      .catch(error => logger.warn({node: nodeId, err: error}, 'a node that was removed could not be told'))
    sessions.drop(nodeId, 'the node was removed')
    syncAgentless()
  }
  services.events.subscribe(({kind, type, objectId}) => {
    if (kind !== 'node') return
    if (type === 'Deleted') void dismiss(objectId)
    if (['Added', 'Changed', 'Blocked', 'Approved'].includes(type)) syncAgentless()
    if (type === 'Blocked') sessions.drop(objectId, 'the node is blocked')
    // Two have its key, and one of them holds the link.
    if (type === 'security.key_redeemed_twice') sessions.drop(objectId, 'the node is suspended')
  })

  const {password} = await prepareFirstStart({store, services, passwords, directory, env, exposed: options.exposed})
  memory.restore(await store.nodes.listBeats())
  const maintenance = maintainEverySecond(services, logger)
  rollback.add('maintenance', () => maintenance.stop())
  rollback.add('controllers', () => controllers.stop())
  await controllers.start()
  const inference = inferenceWhenUsed({
    ...{runtimes: services.runtimes, clock, settings: options.inference},
    requestsPerRuntime: await followRequestsPerRuntime(services.events, {settings: store.settings, server: options}),
    mayDial: (address, port) => guard.checkDial(address, port) !== undefined,
  })
  rollback.add('inference', () => inference.close())
  const app = await createApp({
    ...{services, logger, version, program, inference, metricsRegistry: inference},
    acceptLink: (socket, head, {id, name}) => {
      names.set(id, name)
      socket.on('error', () => {}) // 'close' tells the end
      openLink(socket, head).then(
        link => sessions.adopt(id, link),
        error => logger.info({err: error, node: name}, 'an agent left before its link was open'),
      )
    },
  })
  rollback.add('app', () => app.close())
  jumpHost = await openJumpHost(options, services)
  rollback.add('jump host', async () => jumpHost?.close())
  const tls = options.tls === 'self-signed' ? await ownCertificate(directory, options.addresses) : options.tls
  const bound = await listen(app, options.addresses, tls)
  guard.addOwnPorts([...bound.map(({port}) => port), ...(jumpHost ? [jumpHost.door.port] : [])])
  const urls = bound.map(
    ({host, port}) => `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
  )
  const fingerprint = tls && fingerprintOf(tls)
  await writeRunFile(directory, {
    version,
    startedAt,
    urls,
    ssh: jumpHost?.door,
    store: store.facts.name,
    tlsFiles: options.tlsFiles,
    fingerprint,
  })
  logger.info({urls, serverId, store: store.facts.name}, 'the control server listens')
  void agentless.sync().catch(error => logger.warn({err: error}, 'an agentless node did not start'))
  const pings = pingEngines({services, clock, logger})

  return {
    urls,
    serverId,
    fingerprint,
    ssh: jumpHost?.door,
    firstPassword: password,
    async stop(graceMs) {
      await jumpHost?.close()
      await close(app, {graceMs})
      await pings.stop()
      await inference.close()
      await agentless.close()
      await sessions.close()
      await controllers.stop()
      await services.sessions.settled()
      await maintenance.stop()
      await store.close()
      await removeRunFile(directory)
      await lock.release()
    },
  }
}

/** Of the link an agent has need only, and not each start of a server: HTTP/2 takes a while to load. */
async function openLink(socket: Duplex, head: Buffer): Promise<ServerLink> {
  const {acceptLink} = await import('../link/server-end.ts')
  return acceptLink(socket, head)
}

/** Its code is loaded only where it is wanted. */
async function openJumpHost(options: ControlServerOptions, services: Services): Promise<JumpHost | undefined> {
  const {ssh, directory, addresses, logger} = options
  if (!ssh) return undefined
  const {startJumpHost} = await import('../gateway/ssh/jump-host.ts')
  return startJumpHost({...ssh, directory, services, logger, host: addresses[0]?.host ?? '127.0.0.1'})
}

/** Throws CannotStart. */
function dialGuard({GPUCTL_NODE_CIDRS: cidrs = ''}: NodeJS.ProcessEnv): DialGuard {
  try {
    return new DialGuard({nodeCidrs: cidrs.split(',').filter(text => text.trim() !== '')})
  } catch (error) {
    const hint = 'Give networks in CIDR form, separated by commas: 10.1.0.0/16,fd00:7::/32.'
    throw new CannotStart(`GPUCTL_NODE_CIDRS: ${(error as Error).message}.`, hint, {cause: error})
  }
}

/** Writes beats behind and forgets what is old, one round at a time, and once more at the end. */
function maintainEverySecond(services: Services, logger: Logger): {stop(): Promise<void>} {
  const round = () =>
    services.server.maintain().catch(error => logger.warn({err: error}, 'the readings could not be written behind'))
  let running = Promise.resolve()
  let isRunning = false
  const timer = setInterval(() => {
    if (isRunning) return
    isRunning = true
    running = round().finally(() => {
      isRunning = false
    })
  }, 1_000)
  return {
    async stop() {
      clearInterval(timer)
      await running
      await round()
    },
  }
}
