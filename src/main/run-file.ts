import {readFile, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {writeFileAtomic} from '../platform/files.ts'

/** What a running server or agent says of itself to other commands on the same machine. Secrets never stand here. */
export interface RunFile {
  pid: number
  /** Start time of the process in clock ticks since boot (field 22 of /proc/PID/stat), so that a reused pid is not taken for it. */
  ticks: string
  version: string
  startedAt: string
  /** Server: where it answers, the first being the main one. Agent: the server it serves. */
  urls: string[]
  /** Server only: its jump host, if it has one. */
  ssh?: {host: string; port: number; fingerprint: string; publicKey: string}
  /** Server only. */
  store?: 'sqlite' | 'postgres'
  /** Server only, over https with a certificate that it was given. */
  tlsFiles?: {cert: string; key: string}
  /** Server only, over https: SHA-256 of its certificate. */
  fingerprint?: string
  /** Agent only. */
  node?: {
    status: 'joining' | 'connecting' | 'online' | 'refused'
    name: string
    code: string
    detail: string
    runtime: string
    /** What becomes of the inference runtime here; '' = none is wanted. */
    inference: string
    /** URL of the local API; absent where there is none. */
    localApi?: string
  }
}

const fileName = 'run.json'

/** `pid`: of the process that is to be ended, where that is not this one. */
export async function writeRunFile(
  directory: string,
  content: Omit<RunFile, 'pid' | 'ticks'>,
  pid = process.pid,
): Promise<void> {
  const own: RunFile = {pid, ticks: await startTicks(pid), ...content}
  // No process outlives the machine, so nobody misses it there.
  await writeFileAtomic(join(directory, fileName), `${JSON.stringify(own)}\n`, {mode: 0o600, durable: false})
}

/** Removes this process's own file; one of another process that runs in the same directory stays. */
export async function removeRunFile(directory: string, pid = process.pid): Promise<void> {
  const run = await readRunFile(directory)
  if (run && run.pid !== pid) return
  await rm(join(directory, fileName), {force: true})
}

/** The running one, or undefined: none, or its process is gone. */
export async function readRunFile(directory: string): Promise<RunFile | undefined> {
  let content: RunFile
  try {
    content = JSON.parse(await readFile(join(directory, fileName), 'utf8')) as RunFile
  } catch {
    return undefined
  }
  return (await isRunning(content)) ? content : undefined
}

export async function isRunning({pid, ticks}: {pid: number; ticks: string}): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  const now = await startTicks(pid)
  return now !== 'gone' && (now === ticks || now === '')
}

/** '' where the system does not tell; 'gone' for a zombie or no process. */
async function startTicks(pid: number): Promise<string> {
  if (process.platform !== 'linux') return ''
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'gone' : (fields[19] ?? '')
  } catch {
    return 'gone'
  }
}
