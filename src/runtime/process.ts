import {type ChildProcessByStdio, spawn} from 'node:child_process'
import {existsSync} from 'node:fs'
import {mkdir, mkdtemp, readdir, rename, rm} from 'node:fs/promises'
import {connect} from 'node:net'
import {arch, cpus, hostname, release, totalmem} from 'node:os'
import {join} from 'node:path'
import type {Duplex, Readable} from 'node:stream'
import type {PathStat} from '../contract/schemas/instances.ts'
import {type Clock, sleep} from '../platform/clock.ts'
import {writeSecretFile} from '../platform/files.ts'
import {
  type ContainerSpec,
  type ContainerStats,
  type ExecSession,
  type ExecSpec,
  type FoundContainer,
  type LogChunk,
  type LogOptions,
  type RuntimeDriver,
  RuntimeError,
  type RuntimeEvent,
  type RuntimeFacts,
  type RuntimeInfo,
} from './driver.ts'
import {readJsonLog} from './json-log-reader.ts'
import {label} from './labels.ts'
import {openPort} from './open-port.ts'
import {processEnvironment} from './process-environment.ts'
import {openProcessExec} from './process-exec.ts'
import {isSameProcess, type ProcessRun, type ProcessSpec, processId, processPaths, readRecord} from './process-files.ts'
import {ProcessFolder} from './process-folder.ts'
import {isSupervisor, processesOfInstance, signalGroup, signalQuietly} from './process-group.ts'
import {readProcessStats} from './process-stats.ts'
import {watchProcesses} from './process-watch.ts'

/** The one image of this runtime: the host's own files. */
export const hostImage = 'host'
const startLimitMs = 10_000
const killLimitMs = 10_000
const lookEveryMs = 20

export interface ProcessOptions {
  serverId: string
  /** One folder in it for each instance. Private: it holds the environments. */
  stateDirectory: string
  clock: Clock
  /** The built process-supervisor.js. */
  supervisorPath: string
  /** The agent's environment. Default: this process's. */
  environment?: Readonly<Record<string, string | undefined>>
}

interface Instance {
  record: ProcessSpec
  run: ProcessRun | undefined
  found: FoundContainer
}

/** Runs commands as process groups of the host, where no container engine is. Nothing is isolated and no limit is enforced. */
export class ProcessDriver implements RuntimeDriver {
  readonly name = 'process'
  readonly facts: RuntimeFacts = {
    images: false,
    gpuVendors: ['nvidia', 'amd', 'fake'],
    enforcesMemory: false,
    enforcesCpus: false,
    volumes: false,
    splitsGpus: false,
  }
  readonly #options: ProcessOptions
  readonly #starts = new Map<string, Promise<void>>()

  constructor(options: ProcessOptions) {
    this.#options = options
  }

  async unavailable(): Promise<string | undefined> {
    if (!existsSync('/proc/self/stat')) return 'The process runtime needs Linux with /proc.'
    const {supervisorPath} = this.#options
    return existsSync(supervisorPath) ? undefined : `The process runtime's supervisor is not built: ${supervisorPath}`
  }

  async ping(): Promise<void> {
    await mkdir(this.#options.stateDirectory, {recursive: true, mode: 0o700})
  }

  async info(): Promise<RuntimeInfo> {
    return {
      name: hostname(),
      version: release(),
      cpus: cpus().length,
      memoryMiB: Math.floor(totalmem() / 1024 / 1024),
      os: process.platform,
      architecture: arch(),
    }
  }

  async list(): Promise<FoundContainer[]> {
    const found: FoundContainer[] = []
    for (const id of await readdir(this.#options.stateDirectory).catch(() => [])) {
      const container = await this.inspect(id)
      if (container) found.push(container)
    }
    return found
  }

  async inspect(containerId: string): Promise<FoundContainer | undefined> {
    return (await this.#look(containerId))?.found
  }

  async pull(image: string): Promise<void> {
    refuseOtherImages(image)
  }

  async create(spec: ContainerSpec): Promise<{containerId: string; warnings: string[]}> {
    refuseOtherImages(spec.image)
    if (spec.gpus.some(({share}) => share)) throw new RuntimeError('invalid', 'A process node cannot split GPUs.')
    const {serverId, stateDirectory, clock} = this.#options
    const containerId = processId(serverId, spec.name)
    const labels = {...spec.labels, [label.server]: serverId}
    const paths = processPaths(stateDirectory, containerId)
    if (!existsSync(paths.spec)) {
      await this.ping()
      // Renamed into place: after a crash it is there as a whole, or not.
      const folder = await mkdtemp(join(stateDirectory, '.new-'))
      await mkdir(join(folder, 'work'))
      const record: ProcessSpec = {
        containerId,
        serverId,
        spec: {...spec, labels},
        createdAt: new Date(clock.now()).toISOString(),
      }
      await writeSecretFile(join(folder, 'spec.json'), JSON.stringify(record))
      await rename(folder, paths.folder).catch(async error => {
        await rm(folder, {recursive: true, force: true})
        if (!existsSync(paths.spec)) throw error
      })
    }
    const standing = await readRecord<ProcessSpec>(paths.spec)
    const same = Object.entries(labels).every(([key, value]) => standing?.spec.labels[key] === value)
    if (!same) throw new RuntimeError('name_taken', `The name ${spec.name} is held by another instance.`)
    return {containerId, warnings: warningsFor(spec)}
  }

  async start(containerId: string): Promise<void> {
    // Two starts at once must not be two processes.
    const running = this.#starts.get(containerId)
    if (running) return running
    const starting = this.#start(containerId).finally(() => this.#starts.delete(containerId))
    this.#starts.set(containerId, starting)
    return starting
  }

  async stop(containerId: string, graceSeconds: number): Promise<void> {
    const instance = await this.#look(containerId)
    if (instance?.found.state !== 'running' || !instance.run) return
    const {leader} = instance.run
    signalGroup(leader.pid, 'SIGTERM')
    if (await this.#ended(containerId, graceSeconds * 1000)) return
    this.#killAll(containerId, leader.pid)
    if (await this.#ended(containerId, killLimitMs)) return
    throw new RuntimeError('timeout', 'The process did not end when it was killed.')
  }

  async remove(containerId: string): Promise<void> {
    if (!(await this.#look(containerId))) return
    await this.stop(containerId, 0)
    this.#killAll(containerId, undefined)
    const {folder} = processPaths(this.#options.stateDirectory, containerId)
    const grave = await mkdtemp(join(this.#options.stateDirectory, '.old-'))
    await rename(folder, join(grave, containerId)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    await rm(grave, {recursive: true, force: true, maxRetries: 3})
  }

  /** There are none: see the warnings of `create`. */
  async removeVolume(): Promise<void> {}

  async *logs(containerId: string, options: LogOptions, signal: AbortSignal): AsyncGenerator<LogChunk> {
    await this.#mustLook(containerId)
    const {log} = processPaths(this.#options.stateDirectory, containerId)
    const hasEnded = async () => (await this.inspect(containerId))?.state !== 'running'
    yield* readJsonLog({path: log, hasEnded}, options, signal)
  }

  async *stats(containerId: string, signal: AbortSignal): AsyncGenerator<ContainerStats> {
    const {found, run, record} = await this.#mustLook(containerId)
    if (found.state !== 'running' || !run) return
    yield* readProcessStats(run.leader, record.spec, this.#options.clock, signal)
  }

  async exec(containerId: string, spec: ExecSpec): Promise<ExecSession> {
    const {found, record} = await this.#mustLook(containerId)
    if (found.state !== 'running') throw new RuntimeError('failed', 'The instance is not running.')
    const {work} = processPaths(this.#options.stateDirectory, containerId)
    return openProcessExec(spec, work, this.#environment(record))
  }

  /** It is the host's own network. */
  async dial(containerId: string, port: number): Promise<Duplex> {
    const {found} = await this.#mustLook(containerId)
    if (found.state !== 'running') throw new RuntimeError('port_closed', 'the instance does not run.')
    return openPort(connect({host: 'localhost', port, allowHalfOpen: true})).catch(error => {
      throw new RuntimeError('port_closed', 'nothing listens there.', {cause: error})
    })
  }

  async statPath(containerId: string, path: string): Promise<PathStat> {
    return (await this.#folder(containerId)).stat(path)
  }

  async readArchive(
    containerId: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{stat: PathStat; content: Readable}> {
    return (await this.#folder(containerId)).pack(path, signal)
  }

  async writeArchive(containerId: string, path: string, content: Readable): Promise<void> {
    await (await this.#folder(containerId)).unpack(path, content)
  }

  watch(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const {stateDirectory, clock} = this.#options
    const first = this.ping().then(() => this.list()) // what is there now, not when the first event is asked for
    first.catch(() => {})
    return watchProcesses(stateDirectory, first, () => this.list(), clock, signal)
  }

  /** The instances run on. */
  async close(): Promise<void> {}

  async #start(containerId: string): Promise<void> {
    const {found, record} = await this.#mustLook(containerId)
    if (found.state === 'running') return
    const {folder} = processPaths(this.#options.stateDirectory, containerId)
    const supervisor = spawn(process.execPath, [this.#options.supervisorPath, folder], {
      env: this.#environment(record),
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const answer = await firstLine(supervisor)
    supervisor.stdout.destroy()
    supervisor.unref()
    if (answer.error === undefined) return
    const words = `The command cannot be started: ${answer.error}`
    throw new RuntimeError(['ENOENT', 'EACCES', 'ENOEXEC'].includes(answer.code ?? '') ? 'invalid' : 'failed', words)
  }

  async #folder(containerId: string): Promise<ProcessFolder> {
    await this.#mustLook(containerId)
    return new ProcessFolder(processPaths(this.#options.stateDirectory, containerId).work)
  }

  #environment({containerId, spec}: ProcessSpec): Record<string, string> {
    return processEnvironment(spec, containerId, this.#options.environment ?? process.env)
  }

  async #look(containerId: string): Promise<Instance | undefined> {
    if (!/^[0-9a-f]{32}$/.test(containerId)) return undefined
    const paths = processPaths(this.#options.stateDirectory, containerId)
    const record = await readRecord<ProcessSpec>(paths.spec)
    if (!record || record.serverId !== this.#options.serverId) return undefined
    const run = await readRecord<ProcessRun>(paths.run)
    const found = describe(record, run)
    if (found.state !== 'exited' || run?.finishedAt !== '') return {record, run, found}
    // It may have ended between the two looks. The supervisor records the end before it goes, so now it is there.
    const last = await readRecord<ProcessRun>(paths.run)
    return {record, run: last, found: describe(record, last)}
  }

  async #mustLook(containerId: string): Promise<Instance> {
    const instance = await this.#look(containerId)
    if (!instance) throw new RuntimeError('no_container', `There is no instance ${containerId.slice(0, 80)} here.`)
    return instance
  }

  async #ended(containerId: string, withinMs: number): Promise<boolean> {
    const {clock} = this.#options
    const deadline = clock.monotonic() + withinMs
    for (;;) {
      if ((await this.inspect(containerId))?.state !== 'running') return true
      if (clock.monotonic() >= deadline) return false
      await sleep(clock, lookEveryMs)
    }
  }

  #killAll(containerId: string, leader: number | undefined): void {
    if (leader !== undefined) signalGroup(leader, 'SIGKILL')
    // The supervisor bears the mark, too, and must live to record the end.
    const {supervisorPath} = this.#options
    for (const pid of processesOfInstance(containerId))
      if (!isSupervisor(pid, supervisorPath)) signalQuietly(pid, 'SIGKILL')
  }
}

function refuseOtherImages(image: string): void {
  if (image === hostImage) return
  const why = `This node runs commands as plain processes, without a container engine: it has only the image "${hostImage}", not "${image.slice(0, 80)}".`
  throw new RuntimeError('invalid', why)
}

interface Answer {
  pid?: number
  error?: string
  code?: string
}

/** What the supervisor says about the start. */
function firstLine(supervisor: ChildProcessByStdio<null, Readable, null>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (message: string) => reject(new RuntimeError('failed', message))
    const timer = setTimeout(() => fail(`The supervisor said nothing in ${startLimitMs / 1000} s.`), startLimitMs)
    let text = ''
    supervisor.on('error', error => fail(`The supervisor cannot be started: ${error.message}`))
    supervisor.stdout.on('data', piece => {
      text += piece
      if (!text.includes('\n')) return
      clearTimeout(timer)
      resolve(JSON.parse(text) as Answer)
    })
    supervisor.stdout.once('end', () => {
      clearTimeout(timer)
      if (!text.includes('\n')) fail('The supervisor ended before the command started.')
    })
  })
}

function warningsFor(spec: ContainerSpec): string[] {
  const {cpus: cores, memoryMiB, systemDiskGiB, volumes = [], folders = [], ports = []} = spec
  const warnings: string[] = []
  if (systemDiskGiB) warnings.push('The disk limit is not enforced on a process node.')
  if (cores) warnings.push('The CPU limit is not enforced on a process node.')
  if (memoryMiB) warnings.push('The memory limit is not enforced on a process node.')
  for (const {name, path} of volumes) warnings.push(`Volume ${name} is not mounted at ${path} on a process node.`)
  for (const {source, path} of folders) warnings.push(`Folder ${source} is not at ${path} on a process node.`)
  for (const {containerPort} of ports) warnings.push(`Port ${containerPort} is the host's own on a process node.`)
  return warnings
}

function describe({containerId, spec, createdAt}: ProcessSpec, run: ProcessRun | undefined): FoundContainer {
  const {name, image, labels} = spec
  const common = {containerId, name, image, labels, oomKilled: false, createdAt}
  if (!run) return {...common, state: 'created', exitCode: null, startedAt: '', finishedAt: ''}
  const {startedAt, finishedAt, exitCode, leader, supervisor} = run
  if (finishedAt === '' && (isSameProcess(leader) || isSameProcess(supervisor))) {
    return {...common, state: 'running', exitCode: null, startedAt, finishedAt: ''}
  }
  // Both gone and no end recorded: the machine was switched off, or the supervisor killed. The code is unknown.
  return {...common, state: 'exited', exitCode, startedAt, finishedAt: finishedAt || startedAt || createdAt}
}
