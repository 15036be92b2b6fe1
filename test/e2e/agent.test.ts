import {randomUUID} from 'node:crypto'
import type Docker from 'dockerode'
import {beforeAll, describe, expect, onTestFinished, test} from 'vitest'
import {Agent} from '../../src/agent/agent.ts'
import {stateFile} from '../../src/agent/state-file.ts'
import type {DesiredInstance, InstanceReport, Report} from '../../src/contract/agent-protocol.ts'
import {FrameReader, frameKind} from '../../src/contract/frames.ts'
import {AgentSessions} from '../../src/link/agent-sessions.ts'
import {linkPair} from '../../src/link/in-process.ts'
import {handlerForEachLink} from '../../src/main/link-handlers.ts'
import {HostSampler} from '../../src/metrics/host.ts'
import {systemClock} from '../../src/platform/clock.ts'
import {createLogger} from '../../src/platform/logger.ts'
import {DockerDriver} from '../../src/runtime/docker.ts'
import {label} from '../../src/runtime/labels.ts'
import {type Dockerd, dockerdMissing, dockerMissing, sharedDocker, testDockerd} from '../support/docker.ts'
import {busyboxImage, dockerClient, ensureBusyboxImage} from '../support/images.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

const nodeId = 'node-1'

interface Life {
  agent: Agent
  reports: Report[]
  told(): InstanceReport | undefined
}

/** A machine with a real engine: its agents come and go, its containers and the state on its disk stay. */
class Machine {
  readonly serverId = `test-${randomUUID()}`
  readonly docker: Docker
  readonly #socketPath: string
  readonly #directory: string
  #revision = 0

  private constructor(socketPath: string, directory: string) {
    this.#socketPath = socketPath
    this.#directory = directory
    this.docker = dockerClient({socketPath})
    onTestFinished(() => this.#clean())
  }

  static async of({socketPath}: {socketPath: string}): Promise<Machine> {
    await ensureBusyboxImage({socketPath})
    return new Machine(socketPath, await temporaryDirectory())
  }

  async boot(): Promise<Life> {
    const agent = new Agent({
      nodeId,
      driver: new DockerDriver({socketPath: this.#socketPath, serverId: this.serverId}),
      gpus: undefined,
      host: new HostSampler(),
      stateStore: stateFile(`${this.#directory}/state.json`),
      clock: systemClock,
      logger: createLogger({level: 'silent'}),
      version: '0',
      beatMs: 500,
    })
    const stop = new AbortController()
    const reports: Report[] = []
    await agent.start()
    void (async () => {
      for await (const report of agent.reports(stop.signal)) reports.push(report)
    })()
    onTestFinished(async () => {
      stop.abort()
      await agent.stop()
    })
    const told = () => reports.flatMap(one => (one.type === 'instances' ? one.instances : [])).at(-1)
    return {agent, reports, told}
  }

  want({agent}: Life, change: Partial<DesiredInstance> = {}): Promise<void> {
    this.#revision += 1
    const claimId = this.serverId.slice(0, 20)
    const instance: DesiredInstance = {
      allocationId: `${claimId}/1`,
      instanceId: 'instance-1',
      claimId,
      epoch: 1,
      containerName: `gpuctl-${claimId}-1`,
      name: 'trainer',
      owner: 'ann',
      image: busyboxImage,
      command: ['sh', '-c', 'echo begun; exec sleep 1000'],
      env: {},
      labels: {},
      gpus: [],
      state: 'running',
      generation: 1,
      graceSeconds: 0,
      ...change,
    }
    return agent.setDesired({serverId: this.serverId, nodeId, revision: this.#revision, instances: [instance]})
  }

  containers(): Promise<Docker.ContainerInfo[]> {
    return this.docker.listContainers({all: true, filters: {label: [`${label.server}=${this.serverId}`]}})
  }

  async #clean(): Promise<void> {
    for (const {Id} of await this.containers().catch(() => [])) {
      await this.docker.getContainer(Id).remove({force: true, v: true})
    }
  }
}

describe('an agent on a Docker Engine', () => {
  let missing: string | undefined
  beforeAll(async () => {
    missing = await dockerMissing()
  })

  test('F16: what somebody stops, starts or removes by hand is told within 2 s', async context => {
    if (missing) context.skip(missing)
    const machine = await Machine.of(await sharedDocker())
    const life = await machine.boot()
    await machine.want(life)
    const {containerId} = await eventually(() => (life.told()?.state === 'running' ? life.told() : undefined))
    const container = machine.docker.getContainer(containerId)

    await container.kill()
    await eventually(() => life.told()?.state === 'exited', {withinMs: 2_000})
    expect(life.told()?.exitCode).toBe(137)
    await container.start()
    await eventually(() => life.told()?.state === 'running', {withinMs: 2_000})
    await container.remove({force: true})
    await eventually(() => life.told()?.state === 'removed', {withinMs: 2_000})
    await life.agent.idle()
    expect(await machine.containers()).toEqual([])
  })

  test('F2: the next life of an agent takes over what runs, and touches nothing', async context => {
    if (missing) context.skip(missing)
    const machine = await Machine.of(await sharedDocker())
    const first = await machine.boot()
    await machine.want(first)
    const before = await eventually(() => (first.told()?.state === 'running' ? first.told() : undefined))

    // The first is not stopped: as after kill -9 nothing of it is tidied up.
    const second = await machine.boot()
    await machine.want(second)
    await eventually(() => second.told()?.state === 'running')
    await second.agent.idle()

    expect(second.told()).toMatchObject({containerId: before.containerId, startedAt: before.startedAt})
    expect(await machine.containers()).toHaveLength(1)
  })

  test('a restart, a stop and a removal are done and told', async context => {
    if (missing) context.skip(missing)
    const machine = await Machine.of(await sharedDocker())
    const life = await machine.boot()
    await machine.want(life)
    const before = await eventually(() => (life.told()?.state === 'running' ? life.told() : undefined))

    await machine.want(life, {generation: 2})
    await eventually(() => life.told()?.generation === 2 && life.told()?.state === 'running')
    expect(life.told()).toMatchObject({containerId: before.containerId})
    expect(life.told()?.startedAt).not.toBe(before.startedAt)
    await machine.want(life, {generation: 2, state: 'stopped'})
    await eventually(() => life.told()?.state === 'exited')
    await machine.want(life, {generation: 2, state: 'removed'})
    await eventually(() => life.told()?.state === 'removed')
    expect(await machine.containers()).toEqual([])
  })

  test('logs and exec go over the link', async context => {
    if (missing) context.skip(missing)
    const machine = await Machine.of(await sharedDocker())
    const life = await machine.boot()
    const sessions = new AgentSessions({
      owner: {opened: async () => {}, closed: async () => {}, report: async () => {}},
      logger: createLogger({level: 'silent'}),
    })
    sessions.adopt(nodeId, linkPair(handlerForEachLink(life.agent)))
    onTestFinished(() => sessions.close())
    const long = 'x'.repeat(40_000)
    const script = `echo one; echo two >&2; printf '%040000d\\n' 0 | tr 0 x; exit 3`
    await machine.want(life, {command: ['sh', '-c', script]})
    const {containerId} = await eventually(() => (life.told()?.state === 'exited' ? life.told() : undefined))

    const query = {follow: true, timestamps: false, stdout: true, stderr: true}
    const logs = await read(await sessions.agent(nodeId).logs(containerId, query, new AbortController().signal))
    expect(logs.stderr).toBe('two\n')
    expect(logs.stdout === `one\n${long}\n`).toBe(true)
    expect(logs.controls.at(-1)).toEqual({exit: {code: 3, reason: ''}})
    expect(logs.controls.at(-2)).toEqual({last: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/)})

    const running = await Machine.of(await sharedDocker())
    const other = await running.boot()
    sessions.adopt('node-2', linkPair(handlerForEachLink(other.agent)))
    await running.want(other)
    const target = await eventually(() => (other.told()?.state === 'running' ? other.told() : undefined))
    const call = await sessions
      .agent('node-2')
      .exec(target.containerId, {command: ['sh', '-c', 'cat; echo gone >&2; exit 7'], tty: false, stdin: true, env: {}})
    const output = read(call.output)
    await call.write(Buffer.from([0, 0, 0, 0, 0, 0, 0, 3, 0x61, 0x62, 0x0a]))
    call.endInput()
    const {stdout, stderr, controls} = await output
    expect({stdout, stderr, exit: controls.at(-1)}).toEqual({
      stdout: 'ab\n',
      stderr: 'gone\n',
      exit: {exit: {code: 7, reason: ''}},
    })
  })
})

describe('an engine that fails', () => {
  let missing: string | undefined
  beforeAll(async () => {
    missing = await dockerdMissing()
  })

  async function engineWithInstance(options: {liveRestore: boolean}): Promise<{engine: Dockerd; life: Life}> {
    const engine = await testDockerd({name: 'gpuctl-agent', ...options})
    const machine = await Machine.of(engine)
    const life = await machine.boot()
    await machine.want(life)
    await eventually(() => life.told()?.state === 'running')
    return {engine, life}
  }

  test.for([
    ['with live restore its containers run on', true, 'running'],
    ['without it they have ended', false, 'exited'],
  ] as const)(
    'F3: a killed engine degrades the node and nothing else; once it is back, %s',
    async ([, liveRestore, state], context) => {
      if (missing) context.skip(missing)
      const {engine, life} = await engineWithInstance({liveRestore})
      const before = life.told()

      await engine.kill9()
      await eventually(() => life.agent.runtime.state === 'degraded')
      expect(life.told()).toEqual(before)
      const away = life.reports.length
      await engine.restart()
      await eventually(() => life.agent.runtime.state === 'ok', {withinMs: 20_000})
      await eventually(() => life.reports.length > away && life.told()?.state === state)
      expect(life.told()?.containerId).toBe(before?.containerId)
    },
  )

  test('F4: an engine that hangs degrades the node within seconds', async context => {
    if (missing) context.skip(missing)
    const {engine, life} = await engineWithInstance({liveRestore: true})

    engine.pause()
    await eventually(() => life.agent.runtime.state === 'degraded', {withinMs: 6_000})
    engine.resume()
    await eventually(() => life.agent.runtime.state === 'ok', {withinMs: 15_000})
    expect(life.told()?.state).toBe('running')
  })
})

async function read(output: AsyncIterable<Uint8Array>) {
  const reader = new FrameReader()
  const text = {stdout: '', stderr: ''}
  const controls: unknown[] = []
  for await (const piece of output) {
    for (const {kind, payload} of reader.read(piece)) {
      const content = Buffer.from(payload).toString()
      if (kind === frameKind.control) controls.push(JSON.parse(content))
      else text[kind === frameKind.stderr ? 'stderr' : 'stdout'] += content
    }
  }
  return {...text, controls}
}
