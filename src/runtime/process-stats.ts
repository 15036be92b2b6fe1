import {readFileSync} from 'node:fs'
import {cpus, totalmem} from 'node:os'
import {type Clock, sleep} from '../platform/clock.ts'
import type {ContainerSpec, ContainerStats} from './driver.ts'
import {isSameProcess, type ProcessIdentity, readStat} from './process-files.ts'
import {processesOfSession} from './process-group.ts'

const everyMs = 1_000
/** Linux gives both as constants to programs: USER_HZ, and the page of every machine that has GPUs. */
const ticksPerSecond = 100
const pageBytes = 4096

/** Readings of all processes in the leader's session, once a second. The network is the host's, so it is unknown. */
export async function* readProcessStats(
  leader: ProcessIdentity,
  {cpus: cores, memoryMiB}: ContainerSpec,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<ContainerStats> {
  let before = measure(leader.pid)
  let beforeMs = clock.monotonic()
  const limit = memoryMiB ? memoryMiB * 1024 * 1024 : totalmem()
  while (!signal.aborted) {
    await sleep(clock, everyMs, signal).catch(() => undefined)
    if (signal.aborted || !isSameProcess(leader)) return
    const now = measure(leader.pid)
    const nowMs = clock.monotonic()
    // A child that was not waited for takes its time along.
    const usedMs = Math.max(0, ((now.cpuTicks - before.cpuTicks) * 1000) / ticksPerSecond)
    const raw = nowMs > beforeMs ? (usedMs / (nowMs - beforeMs)) * 100 : null
    yield {
      at: new Date(clock.now()).toISOString(),
      cpuPercent: raw === null ? null : twoDecimals(Math.min(100, raw / (cores ?? cpus().length))),
      cpuPercentRaw: raw === null ? null : twoDecimals(raw),
      memoryUsageBytes: now.memoryBytes,
      memoryLimitBytes: limit,
      memoryPercent: twoDecimals((now.memoryBytes / limit) * 100),
      networkRxBytes: null,
      networkTxBytes: null,
      blockReadBytes: now.readBytes,
      blockWriteBytes: now.writtenBytes,
      pids: now.pids,
    }
    before = now
    beforeMs = nowMs
  }
}

function measure(session: number) {
  const total = {cpuTicks: 0, memoryBytes: 0, readBytes: 0, writtenBytes: 0, pids: 0}
  for (const pid of processesOfSession(session)) {
    const stat = readStat(pid)
    if (!stat) continue
    total.pids++
    total.cpuTicks += stat.cpuTicks
    total.memoryBytes += stat.residentPages * pageBytes
    const io = readIo(pid)
    total.readBytes += io.read
    total.writtenBytes += io.written
  }
  return total
}

function readIo(pid: number): {read: number; written: number} {
  try {
    const text = readFileSync(`/proc/${pid}/io`, 'latin1')
    const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1] ?? 0)
    return {read: field('read_bytes'), written: field('write_bytes')}
  } catch {
    return {read: 0, written: 0}
  }
}

function twoDecimals(value: number): number {
  return Math.round(value * 100) / 100
}
