import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {ContainerSpec} from './driver.ts'

/** `spec.json`: what was asked for. Written once. */
export interface ProcessSpec {
  containerId: string
  serverId: string
  spec: ContainerSpec
  createdAt: string
}

/** A process that cannot be mistaken for another one with the same pid. */
export interface ProcessIdentity {
  pid: number
  /** Clock ticks between boot and its start. */
  startTicks: string
  bootId: string
}

/** `run.json`: the last start. Written by the supervisor. */
export interface ProcessRun {
  supervisor: ProcessIdentity
  /** The leader of the session that the command runs in. */
  leader: ProcessIdentity
  startedAt: string
  /** '' while it runs. */
  finishedAt: string
  exitCode: number | null
}

/** Where an instance's files lie. */
export function processPaths(stateDirectory: string, containerId: string) {
  const folder = join(stateDirectory, containerId)
  const at = (name: string) => join(folder, name)
  return {folder, spec: at('spec.json'), run: at('run.json'), log: at('log'), work: at('work')}
}

/** The same name is the same instance, also after a crash in the middle of a create. */
export function processId(serverId: string, name: string): string {
  return createHash('sha256').update(`${serverId}\n${name}`).digest('hex').slice(0, 32)
}

/** Undefined when there is none. A file that is half there cannot be: all are renamed into place. */
export async function readRecord<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

/** Undefined when no such process runs; one that has ended and is not reaped does not run. */
export function identify(pid: number): ProcessIdentity | undefined {
  const fields = readStat(pid)
  if (!fields || fields.state === 'Z' || fields.state === 'X') return undefined
  return {pid, startTicks: fields.startTicks, bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}
}

export function isSameProcess(known: ProcessIdentity): boolean {
  const now = identify(known.pid)
  return now !== undefined && now.startTicks === known.startTicks && now.bootId === known.bootId
}

export interface ProcessStat {
  state: string
  session: number
  /** Its own, and of the children that it has waited for. */
  cpuTicks: number
  startTicks: string
  residentPages: number
}

/** /proc/PID/stat; the program's name in it may hold spaces and parentheses. */
export function readStat(pid: number | string): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const number = (index: number) => Number(fields[index])
    return {
      state: fields[0] ?? '',
      session: number(3),
      cpuTicks: number(11) + number(12) + number(13) + number(14),
      startTicks: fields[19] ?? '',
      residentPages: number(21),
    }
  } catch {
    return undefined
  }
}
