import {readFileSync} from 'node:fs'
import {statfs} from 'node:fs/promises'
import {availableParallelism, cpus, freemem, loadavg, totalmem, uptime} from 'node:os'
import {setTimeout as delay} from 'node:timers/promises'
import type {HostSample} from './collector.ts'
import {type CpuTicks, parseCpu, parseMemory, parseMounts, parseNetwork, parseNumber} from './proc.ts'

/** Size of a file system, in blocks, as `statfs` gives it. */
export interface DiskBlocks {
  blocks: number
  bfree: number
  bavail: number
}

export interface HostSamplerOptions {
  /** Where the kernel's figures lie; a recorded copy in tests. */
  procDir?: string
  statDisk?: (path: string) => Promise<DiskBlocks>
  /** How long one sweep waits for the disks; what has not answered by then shows its last figure. */
  diskTimeoutMs?: number
}

/**
 * Reads this host's figures from /proc, well under 1 ms a sweep and without a child process.
 *
 * Keep one sampler and hand out what it read: the CPU figure is the mean since the sampler's own last sweep, so the
 * first is null, and two callers who sweep by turns would each see only part of the time. Where /proc is missing
 * (macOS) Node's `os` answers instead, and network counters and disks that it does not know are null.
 */
export class HostSampler {
  readonly #procDir: string
  readonly #statDisk: (path: string) => Promise<DiskBlocks>
  readonly #diskTimeoutMs: number
  #lastTicks: CpuTicks | undefined
  #diskPercent: number | null = null
  #diskSweep: Promise<void> | undefined

  constructor({procDir = '/proc', statDisk = statfs, diskTimeoutMs = 250}: HostSamplerOptions = {}) {
    this.#procDir = procDir
    this.#statDisk = statDisk
    this.#diskTimeoutMs = diskTimeoutMs
  }

  /** Reads the host once. Never throws: what cannot be read is null, or Node's own figure. */
  async sample(): Promise<HostSample> {
    await this.#sweepDisks()
    const cpu = parseCpu(this.#read('stat')) ?? nodeCpu()
    const cpuPercent = busyPercent(this.#lastTicks, cpu.ticks)
    this.#lastTicks = cpu.ticks

    const memory = parseMemory(this.#read('meminfo')) ?? nodeMemory()
    const network = parseNetwork(this.#read('self/net/dev'))
    return {
      cpuPercent,
      cpus: cpu.cpus,
      memoryTotalMiB: Math.round(memory.totalMiB),
      memoryUsedMiB: Math.round(memory.usedMiB),
      memoryPercent: percent(memory.usedMiB, memory.totalMiB) ?? 0,
      diskPercent: this.#diskPercent,
      load1: parseNumber(this.#read('loadavg')) ?? loadavg()[0] ?? 0,
      uptimeSeconds: Math.floor(parseNumber(this.#read('uptime')) ?? uptime()),
      networkRxBytes: network?.rxBytes ?? null,
      networkTxBytes: network?.txBytes ?? null,
    }
  }

  /** The kernel writes these files from memory, so reading them at once is cheaper than a turn through the thread pool. */
  #read(name: string): string {
    try {
      return readFileSync(`${this.#procDir}/${name}`, 'utf8')
    } catch {
      return ''
    }
  }

  /** A dying disk can hold a `statfs` for minutes: the sweep goes on without it, and no second one is started. */
  async #sweepDisks(): Promise<void> {
    this.#diskSweep ??= this.#readDisks().finally(() => {
      this.#diskSweep = undefined
    })
    const deadline = new AbortController()
    await Promise.race([
      this.#diskSweep,
      delay(this.#diskTimeoutMs, undefined, {signal: deadline.signal, ref: false}).catch(() => undefined),
    ])
    deadline.abort()
  }

  async #readDisks(): Promise<void> {
    const mounts = this.#read('self/mounts')
    const paths = mounts ? parseMounts(mounts) : ['/']
    const used = await Promise.all(
      paths.map(async path => {
        const disk = await this.#statDisk(path).catch(() => undefined)
        return disk && usedPercent(disk)
      }),
    )
    const known = used.filter(figure => typeof figure === 'number')
    this.#diskPercent = known.length > 0 ? Math.max(...known) : null
  }
}

/** As `df` counts: what is kept for root is neither used nor free. */
function usedPercent({blocks, bfree, bavail}: DiskBlocks): number | null {
  const used = blocks - bfree
  return percent(used, used + bavail)
}

function busyPercent(before: CpuTicks | undefined, now: CpuTicks): number | null {
  if (!before) return null
  return percent(now.busy - before.busy, now.total - before.total)
}

/** 0–100 with two decimals; null where there is no whole to be a part of. */
function percent(part: number, whole: number): number | null {
  if (!(whole > 0)) return null
  return Math.round(Math.min(100, Math.max(0, (part / whole) * 100)) * 100) / 100
}

function nodeCpu(): {ticks: CpuTicks; cpus: number} {
  const ticks = {busy: 0, total: 0}
  for (const {times} of cpus()) {
    ticks.busy += times.user + times.nice + times.sys + times.irq
    ticks.total += times.user + times.nice + times.sys + times.irq + times.idle
  }
  return {ticks, cpus: availableParallelism()}
}

function nodeMemory(): {totalMiB: number; usedMiB: number} {
  return {totalMiB: totalmem() / 2 ** 20, usedMiB: (totalmem() - freemem()) / 2 ** 20}
}
