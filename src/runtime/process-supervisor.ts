/**
 * `node process-supervisor.js FOLDER`: runs one instance of the process runtime. It outlives the agent: it keeps the
 * command's output and records its exit code in FOLDER/run.json, where the next agent finds them. The environment that it
 * is given is the command's. It says one line of JSON when the command runs or could not be started.
 */
import {spawn} from 'node:child_process'
import {readFileSync, renameSync, writeFileSync} from 'node:fs'
import {constants} from 'node:os'
import {basename, dirname} from 'node:path'
import {unspared} from './oom-score.ts'
import {identify, type ProcessRun, type ProcessSpec, processPaths} from './process-files.ts'
import {processesOfInstance, signalQuietly} from './process-group.ts'
import {ProcessLogWriter} from './process-log-writer.ts'

/** What a command left behind may hold the pipes open for ever. */
const pipeGraceMs = 2_000

const folder = process.argv[2]
if (!folder) throw new Error('usage: process-supervisor FOLDER')
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE'] as const) process.on(signal, () => {})
process.stdout.on('error', () => {}) // the agent has gone meanwhile
supervise(folder)

function supervise(at: string): void {
  const paths = processPaths(dirname(at), basename(at))
  const {spec, containerId} = JSON.parse(readFileSync(paths.spec, 'utf8')) as ProcessSpec
  // Without a command it stays up, as a shell image does.
  const [file = 'tail', ...args] = spec.command?.length ? spec.command : ['tail', '-f', '/dev/null']
  const log = new ProcessLogWriter(paths.log)
  const child = unspared(() => spawn(file, args, {cwd: paths.work, stdio: ['ignore', 'pipe', 'pipe'], detached: true}))
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].on('data', (piece: Buffer) => log.write(stream, piece))
    child[stream].on('error', () => {})
  }
  const supervisor = identify(process.pid)
  const leader = child.pid === undefined ? undefined : identify(child.pid)
  const startedAt = new Date().toISOString()
  const record = (change: Partial<ProcessRun>) => {
    if (!supervisor) return
    const own = leader ?? {pid: child.pid ?? 0, startTicks: '', bootId: ''}
    const run: ProcessRun = {supervisor, leader: own, startedAt, finishedAt: '', exitCode: null, ...change}
    writeFileSync(`${paths.run}.tmp`, JSON.stringify(run), {mode: 0o600})
    renameSync(`${paths.run}.tmp`, paths.run)
  }
  const finish = (exitCode: number) => {
    log.close()
    record({finishedAt: new Date().toISOString(), exitCode})
    process.exit(0)
  }
  child.on('error', (error: NodeJS.ErrnoException) => {
    if (child.pid !== undefined) return
    process.stdout.write(`${JSON.stringify({error: error.message, code: error.code})}\n`, () => process.exit(1))
  })
  if (child.pid === undefined) return
  record({})
  process.stdout.write(`${JSON.stringify({pid: child.pid})}\n`)
  let code = 0
  child.on('exit', (exitCode, signal) => {
    code = exitCode ?? 128 + constants.signals[signal ?? 'SIGKILL']
    // As in a container: when the first process ends, the others do.
    for (const pid of processesOfInstance(containerId)) if (pid !== process.pid) signalQuietly(pid, 'SIGKILL')
    setTimeout(() => finish(code), pipeGraceMs)
  })
  child.on('close', () => finish(code))
}
