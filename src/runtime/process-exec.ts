import {type ChildProcessByStdio, execFile, spawn} from 'node:child_process'
import {mkdtemp, readFile, rm} from 'node:fs/promises'
import {constants, tmpdir} from 'node:os'
import {join} from 'node:path'
import {PassThrough, type Readable, Writable} from 'node:stream'
import {type ExecSession, type ExecSpec, RuntimeError} from './driver.ts'
import {unspared} from './oom-score.ts'
import {signalGroup} from './process-group.ts'

type Child = ChildProcessByStdio<Writable, Readable, Readable>
const endOfTransmission = '\x04'
const startLimitMs = 5_000

/** A process beside the instance, with its environment and folder. A TTY comes from util-linux's `script`. */
export async function openProcessExec(spec: ExecSpec, cwd: string, env: Record<string, string>): Promise<ExecSession> {
  if (spec.user) throw new RuntimeError('invalid', 'A process node runs everything as the user of its agent.')
  const ttyFolder = spec.tty ? await mkdtemp(join(tmpdir(), 'gpuctl-tty-')) : undefined
  const [file = '', ...args] = ttyFolder ? terminalCommand(spec, ttyFolder) : spec.command
  const all = {...env, ...spec.env, ...(spec.tty ? {TERM: spec.env?.TERM ?? 'xterm-256color', SHELL: '/bin/sh'} : {})}
  const child: Child = unspared(() =>
    spawn(file, args, {cwd: spec.workingDir ?? cwd, env: all, stdio: 'pipe', detached: true}),
  )
  child.stdin.on('error', () => {}) // EPIPE: it did not want its input
  const exited = new Promise<number>((resolve, reject) => {
    child.on('error', error => reject(new RuntimeError('invalid', `The process cannot be started: ${error.message}`)))
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']))
  })
  exited.catch(() => {}).finally(() => ttyFolder && rm(ttyFolder, {recursive: true, force: true}))
  await started(child, exited)
  if (!spec.stdin && !spec.tty) child.stdin.end()
  return {
    stdin: spec.tty ? terminalInput(child) : child.stdin,
    stdout: child.stdout,
    stderr: spec.tty ? ended() : child.stderr,
    async resize(rows, columns) {
      if (!ttyFolder || rows <= 0 || columns <= 0) return
      const tty = await readFile(join(ttyFolder, 'tty'), 'utf8').catch(() => '')
      if (!tty) return
      const size = ['-F', tty.trim(), 'rows', String(rows), 'cols', String(columns)]
      await new Promise<void>(resolve => execFile('stty', size, {timeout: 2_000}, () => resolve()))
    },
    exited,
    async signal(name) {
      if (child.pid !== undefined) signalGroup(child.pid, name)
    },
    async kill() {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
        signalGroup(child.pid, 'SIGKILL')
    },
  }
}

function started(child: Child, exited: Promise<number>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new RuntimeError('timeout', 'The process did not start in time.')),
      startLimitMs,
    )
    child.once('spawn', () => {
      clearTimeout(timer)
      resolve(undefined)
    })
    exited.catch(error => {
      clearTimeout(timer)
      reject(error)
    })
  })
}

/** `script` gives the command a terminal of its own; where that is, the command's shell writes down, for `resize`. */
function terminalCommand({command, size}: ExecSpec, ttyFolder: string): string[] {
  const sized = size && size.rows > 0 && size.columns > 0 ? `stty rows ${size.rows} cols ${size.columns}; ` : ''
  const line = `tty > ${quoted(join(ttyFolder, 'tty'))}; ${sized}exec ${command.map(quoted).join(' ')}`
  return ['script', '-qfec', line, '/dev/null']
}

function quoted(word: string): string {
  return `'${word.replace(/'/g, "'\\''")}'`
}

/** The pipe to `script` stays open: closed, it would send a NUL and hang up. */
function terminalInput(child: Child): Writable {
  return new Writable({
    write: (chunk, _, done) => void (child.stdin.destroyed ? done() : child.stdin.write(chunk, () => done())),
    final: done => void (child.stdin.destroyed ? done() : child.stdin.write(endOfTransmission, () => done())),
  })
}

function ended(): Readable {
  return new PassThrough().end()
}
