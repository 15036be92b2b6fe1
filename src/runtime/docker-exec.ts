import {randomBytes} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {constants} from 'node:os'
import {type Duplex, PassThrough, Writable} from 'node:stream'
import {setTimeout as delay} from 'node:timers/promises'
import type {DockerEngine} from './docker-engine.ts'
import {toRuntimeError} from './docker-errors.ts'
import {DockerFrameReader} from './docker-frames.ts'
import {type ExecSession, type ExecSpec, RuntimeError} from './driver.ts'
import {processesWith, signalQuietly} from './process-group.ts'

/** By this variable a process that an exec started is found again, for `kill`: Docker has no call for that. */
const marker = 'GPUCTL_EXEC'
const endOfTransmission = '\x04'
/** How long after the end of its output a process may stay. */
const exitWaitMs = 10_000
const killWaitMs = 5_000
const killAgainMs = 250

/** Runs a process in a container, connected to the caller. */
export async function openExec(engine: DockerEngine, containerId: string, spec: ExecSpec): Promise<ExecSession> {
  const {command, tty, stdin, env = {}, user, workingDir, size} = spec
  const mark = randomBytes(12).toString('hex')
  const doing = 'Starting a process in the container'
  const exec = await engine.call(doing, (docker, abortSignal) =>
    docker.getContainer(containerId).exec({
      Cmd: command,
      Tty: tty,
      AttachStdin: stdin,
      AttachStdout: true,
      AttachStderr: true,
      Env: Object.entries({...env, ...(tty ? {TERM: env.TERM ?? 'xterm-256color'} : {}), [marker]: mark}).map(
        ([key, value]) => `${key}=${value}`,
      ),
      ...(user ? {User: user} : {}),
      ...(workingDir ? {WorkingDir: workingDir} : {}),
      abortSignal,
    }),
  )
  const socket = await engine.call(
    doing,
    async () => (await exec.start({hijack: true, stdin: true, Tty: tty})) as Duplex,
  )
  const resize = async (rows: number, columns: number) => {
    if (rows <= 0 || columns <= 0) return
    // The process may be over: then there is nothing to resize.
    await engine
      .call('Resizing', (_, abortSignal) => exec.resize({h: rows, w: columns, abortSignal}))
      .catch(ignoreEnded)
  }
  if (tty && size) await resize(size.rows, size.columns)
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const exited = pump(socket, tty, stdout, stderr).then(() => exitCode(engine, exec.id))
  exited.catch(error => {
    stdout.destroy(error)
    stderr.destroy(error)
  })
  // A reader that has gone must not take the program down with an unhandled 'error'.
  stdout.on('error', () => {})
  stderr.on('error', () => {})
  return {
    stdin: stdin ? input(socket, tty) : closedInput(),
    stdout,
    stderr,
    resize,
    exited,
    async signal(name) {
      const here = engine.socketPath ? processesWith(`${marker}=${mark}`) : []
      for (const pid of here) signalQuietly(pid, name)
      if (here.length === 0) await signalInside(engine, containerId, {mark, user, number: constants.signals[name]})
    },
    async kill() {
      const untilMs = performance.now() + killWaitMs
      const isOver = exited.then(
        () => true,
        () => true,
      )
      // One that the engine is only about to begin is not there yet; an image without a shell may keep it.
      do await endProcess(engine, containerId, exec.id, mark, user)
      while (!(await Promise.race([isOver, delay(killAgainMs, false, {ref: false})])) && performance.now() < untilMs)
      socket.destroy()
    },
  }
}

/** With a TTY the socket is never half closed, or Docker drops the rest of the output and the exit code. */
function input(socket: Duplex, tty: boolean): Writable {
  return new Writable({
    write(chunk, _, done) {
      if (socket.destroyed || socket.writableEnded) return done()
      if (socket.write(chunk)) return done()
      const go = () => {
        socket.off('drain', go)
        socket.off('close', go)
        done()
      }
      socket.once('drain', go)
      socket.once('close', go)
    },
    final(done) {
      if (socket.destroyed) return done()
      if (tty) socket.write(endOfTransmission)
      else socket.end()
      done()
    },
  })
}

function closedInput(): Writable {
  const closed = new Writable({write: (_, __, done) => done()})
  closed.end()
  return closed
}

async function pump(socket: Duplex, tty: boolean, stdout: PassThrough, stderr: PassThrough): Promise<void> {
  const frames = new DockerFrameReader()
  try {
    for await (const piece of socket as AsyncIterable<Buffer>) {
      const chunks = tty ? [{stream: 'stdout' as const, data: piece}] : frames.read(piece)
      for (const {stream, data} of chunks) {
        const to = stream === 'stdout' ? stdout : stderr
        if (!to.destroyed && !to.write(data)) await roomIn(to)
      }
    }
  } catch (error) {
    throw toRuntimeError(error, 'Reading the output of a process')
  } finally {
    stdout.end()
    stderr.end()
  }
}

function roomIn(stream: PassThrough): Promise<void> {
  return new Promise(resolve => {
    const go = () => {
      stream.off('drain', go)
      stream.off('close', go)
      resolve()
    }
    stream.on('drain', go)
    stream.on('close', go)
  })
}

/** The output ends a moment before Docker knows the code. */
async function exitCode(engine: DockerEngine, execId: string): Promise<number> {
  const deadline = performance.now() + exitWaitMs
  for (let waitMs = 5; ; waitMs = Math.min(250, waitMs * 2)) {
    const state = await inspectExec(engine, execId)
    if (!state) return 137 // the container went, and the process with it
    if (!state.Running && state.ExitCode !== null) return state.ExitCode
    if (performance.now() > deadline) {
      throw new RuntimeError('failed', 'The process closed its output and did not end.')
    }
    await delay(waitMs)
  }
}

async function inspectExec(engine: DockerEngine, execId: string) {
  try {
    return await engine.call('Looking at a process', (docker, abortSignal) =>
      docker.getExec(execId).inspect({abortSignal}),
    )
  } catch (error) {
    if (error instanceof RuntimeError && error.code === 'no_container') return undefined
    throw error
  }
}

/** From this host where the engine is here, and by a shell in the container for what the process started. */
async function endProcess(engine: DockerEngine, containerId: string, execId: string, mark: string, user?: string) {
  const state = await inspectExec(engine, execId).catch(() => undefined)
  if (!state?.Running) return
  if (engine.socketPath && state.Pid > 1) {
    const cgroup = await readFile(`/proc/${state.Pid}/cgroup`, 'utf8').catch(() => '')
    if (cgroup.includes(containerId)) signalQuietly(state.Pid, 'SIGKILL')
  }
  await signalInside(engine, containerId, {mark, user, number: 9})
}

/** By a shell of the container: an image without one keeps its processes. */
async function signalInside(
  engine: DockerEngine,
  containerId: string,
  {mark, user, number}: {mark: string; user?: string; number: number},
): Promise<void> {
  const kill = `kill -${number} \${p#/proc/}`
  const script = `for p in /proc/[0-9]*; do grep -qs '${marker}=${mark}' $p/environ && ${kill}; done`
  await engine
    .call('Ending a process', async (docker, abortSignal) => {
      const killer = await docker
        .getContainer(containerId)
        .exec({Cmd: ['/bin/sh', '-c', script], ...(user ? {User: user} : {}), abortSignal})
      await killer.start({Detach: true, abortSignal})
    })
    .catch(() => undefined) // an image without a shell, or a container that has ended
}

function ignoreEnded(error: unknown): void {
  if (error instanceof RuntimeError && (error.code === 'unreachable' || error.code === 'timeout')) throw error
}
