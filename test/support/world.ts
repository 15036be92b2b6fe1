import {createHash, createHmac, randomBytes, randomUUID} from 'node:crypto'
import {join} from 'node:path'
import {onTestFinished} from 'vitest'
import type {ControllerSettings} from '../../src/controllers/dependencies.ts'
import {createControllers} from '../../src/controllers/manager.ts'
import type {Caller} from '../../src/domain/caller.ts'
import {problem} from '../../src/domain/errors.ts'
import {FleetMemory} from '../../src/domain/fleet-memory.ts'
import {Journal} from '../../src/domain/journal.ts'
import type {Fleet, Store, Wake} from '../../src/domain/ports.ts'
import {recipes} from '../../src/domain/recipes/recipes.ts'
import type {TaskRecord} from '../../src/domain/records.ts'
import type {Secrets, SessionClaims, SessionTokens, Vault} from '../../src/domain/security-ports.ts'
import {createServices} from '../../src/domain/services/create-services.ts'
import type {ServiceDependencies} from '../../src/domain/services/dependencies.ts'
import {TaskService} from '../../src/domain/services/tasks.ts'
import type {Recipe, Recipes} from '../../src/domain/task.ts'
import {TaskFeed} from '../../src/domain/task-feed.ts'
import {ManualClock} from '../../src/platform/clock.ts'
import {Passwords} from '../../src/platform/passwords.ts'
import {openStore} from '../../src/store/open.ts'
import {createDatabase} from './postgres.ts'
import {SimulatedAgent, type SimulatedNode} from './simulated-agent.ts'
import {temporaryDirectory} from './temporary-directory.ts'

interface WorldOptions {
  nodes?: SimulatedNode[]
  store?: 'sqlite' | 'postgres'
  settings?: Partial<ControllerSettings>
  /** In place of the program's own. */
  recipes?: Recipes
}

export const peer = {address: '192.0.2.1', requestId: 'test'}

export const secrets: Secrets = {
  random: bytes => randomBytes(bytes),
  sha256: text => createHash('sha256').update(text).digest('hex'),
  uuid: () => randomUUID(),
}

export function gpuNode(name: string, gpus: number, rest: Partial<SimulatedNode> = {}): SimulatedNode {
  return {name, gpus, ...rest}
}

/**
 * A whole control plane in one process: a real store, the real services and controllers, agents that keep to the
 * protocol, and a clock that the test moves. `settle()` waits until nobody has anything left to do at this moment.
 */
export async function world({nodes = [], store: kind = 'sqlite', settings, recipes: testRecipes}: WorldOptions = {}) {
  const clock = new ManualClock()
  const at = kind === 'postgres' ? await createDatabase() : join(await temporaryDirectory(), 'store.db')
  const agents = new Map<string, SimulatedAgent>()
  let plane = await openPlane()
  const admin = await makeUser('root', {role: 'super_admin', gpuQuota: null, maxPriority: 100})
  const caller = await makeUser('alice', {gpuQuota: 1000, maxPriority: 100})
  for (const node of nodes) await join_(node)
  onTestFinished(() => plane.close())
  await settle()

  async function openPlane() {
    const store: Store = await openStore({
      at,
      onFatal: error => {
        throw error
      },
    })
    const errors: unknown[] = []
    const memory = new FleetMemory({clock})
    memory.restore(await store.nodes.listBeats())
    const journal = new Journal({store, clock})
    const taskFeed = new TaskFeed()
    const fleet: Fleet = {
      connected: id => agents.get(id)?.isConnected ?? false,
      agent(id) {
        const agent = agents.get(id)
        if (!agent?.isConnected) throw problem('node_offline', {name: id})
        return agent
      },
    }
    const serverId = '00000000-0000-4000-8000-000000000001'
    const onError = (controller: string, key: string, error: unknown) => errors.push({controller, key, error})
    const program = async () => ({version: '0.1.0', platform: 'linux-x64', checksum: '', content: Buffer.from('')})
    const controllers = createControllers({
      ...{store, journal, memory, fleet, clock, secrets, vault, serverId, taskFeed, onError, settings, program},
      recipes: testRecipes ?? recipes,
    })
    const wake: Wake = (controller, key) => controllers.wake(controller, key)
    const deps: ServiceDependencies = {
      store,
      journal,
      memory,
      fleet,
      queue: controllers.queue,
      wake,
      taskFeed,
      clock,
      passwords: new Passwords(),
      secrets,
      sessions: sessionTokens(clock),
      vault,
      runtimeProbe: {
        probe: async ({address}) => ({
          ...{address, models: ['gpt-oss-20b'], initializing: false},
          ready: {ready: 1, total: 1},
        }),
        readLogs: async () => [],
      },
      captchaPainter: {draw: async digits => `data:,${digits}`},
      server: {id: serverId, version: '0.1.0', startedAt: new Date(clock.now()).toISOString(), exposed: false},
      program,
      probeEngine: async () => 'connected',
      hamiCoreFolders: ['/root/HAMi-core/build'],
    }
    const services = createServices(deps)
    const tasks = new TaskService(deps)
    await controllers.start()
    const close = async () => {
      await controllers.stop()
      await store.close()
    }
    return {store, services, controllers, memory, journal, errors, tasks, close}
  }

  async function makeUser(
    username: string,
    fields: {role?: Caller['role']; gpuQuota?: number | null; maxPriority?: number},
  ): Promise<Caller> {
    const at = new Date(clock.now()).toISOString()
    const {role = 'user', gpuQuota = 0, maxPriority = 0} = fields
    const user = await plane.store.users.insert({
      id: randomUUID(),
      createdAt: at,
      updatedAt: at,
      username,
      role,
      enabled: true,
      gpuQuota,
      maxPriority,
      passwordHash: '',
      tokenVersion: 1,
    })
    const scopes = ['read', 'write'] as const
    const credential = {credential: 'login', credentialId: 'test', expiresAt: null} as const
    return {id: user.id, username, role, scopes, ...credential, requestId: 'test', address: peer.address}
  }

  async function join_(spec: SimulatedNode): Promise<SimulatedAgent> {
    const {services} = plane
    const address = `198.51.100.${(agents.size % 250) + 1}`
    const asked = await services.nodes.join({hostname: spec.name, labels: spec.labels}, {...peer, address})
    await services.nodes.approve({node: asked.code}, admin)
    const {nodeId, nodeKey} = await services.nodes.joinStatus(
      {code: asked.code, pollSecret: asked.pollSecret},
      {...peer, address},
    )
    await services.nodes.authenticate(nodeKey!)
    const agent = new SimulatedAgent(nodeId!, spec, services)
    agents.set(nodeId!, agent)
    await agent.connect()
    return agent
  }

  async function settle(): Promise<void> {
    for (let calm = 0; calm < 3; ) {
      const before = [...agents.values()].reduce((sum, {told}) => sum + told, 0)
      for (const agent of agents.values()) await agent.idle()
      await plane.controllers.idle()
      await new Promise(resolve => setImmediate(resolve))
      const after = [...agents.values()].reduce((sum, {told}) => sum + told, 0)
      calm = after === before ? calm + 1 : 0
    }
  }

  /** Lets time pass in steps of five seconds, in which connected agents beat. */
  async function pass(ms: number, {beats = true}: {beats?: boolean} = {}): Promise<void> {
    for (let left = ms; left > 0; left -= 5_000) {
      clock.advance(Math.min(5_000, left))
      if (beats) for (const agent of agents.values()) if (agent.isConnected) await agent.beat()
      await settle()
    }
  }

  return {
    clock,
    admin,
    caller,
    makeUser,
    join: join_,
    settle,
    pass,
    agent(name: string): SimulatedAgent {
      const found = [...agents.values()].find(agent => agent.spec.name === name)
      if (!found) throw new Error(`There is no agent ${name}.`)
      return found
    },
    agents: () => [...agents.values()],
    get services() {
      return plane.services
    },
    get store() {
      return plane.store
    },
    get controllers() {
      return plane.controllers
    },
    get memory() {
      return plane.memory
    },
    get journal() {
      return plane.journal
    },
    /** Hands a task in, as the services of long work do. */
    async submitTask<I extends object>(recipe: Recipe<I>, input: I, by: Caller = admin): Promise<TaskRecord> {
      const task = await plane.journal.change((tx, record) =>
        plane.tasks.submit({tx, record}, {recipe, input, caller: by}),
      )
      plane.tasks.start(task)
      return task
    },
    /** Errors that the controllers met and will retry. */
    get errors() {
      return plane.errors
    },
    /** The server ends, and another begins on the same store; the agents go on and connect again. */
    async restart({reconnect = true}: {reconnect?: boolean} = {}): Promise<void> {
      for (const agent of agents.values()) agent.isConnected = false
      await plane.close()
      plane = await openPlane()
      if (reconnect) for (const agent of agents.values()) await agent.connect(plane.services)
      await settle()
    },
  }
}

const vault: Vault = {
  seal: async (plain, context) => Buffer.from(JSON.stringify({plain, context})).toString('base64'),
  open: async sealed => JSON.parse(Buffer.from(sealed, 'base64').toString()).plain,
}

function sessionTokens(clock: {now(): number}): SessionTokens {
  const key = randomBytes(32)
  const sign = (text: string) => createHmac('sha256', key).update(text).digest('base64url')
  return {
    sign(claims) {
      const text = `${encode({alg: 'HS256', typ: 'JWT'})}.${encode(claims)}`
      return `${text}.${sign(text)}`
    },
    verify(token) {
      const [head, body, signature] = token.split('.')
      if (!body || sign(`${head}.${body}`) !== signature) return {refused: 'invalid'}
      const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as SessionClaims
      return claims.exp * 1000 + 30_000 < clock.now() ? {refused: 'expired'} : {claims}
    },
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
