import type {ContainerInspectInfo} from 'dockerode'
import type {ContainerStats} from './driver.ts'

/** The part of Docker's stats that is read; cgroup v2 lacks some of it. */
export interface StatsFrame {
  read?: string
  pids_stats?: {current?: number}
  cpu_stats?: CpuStats
  precpu_stats?: CpuStats
  memory_stats?: {usage?: number; limit?: number; stats?: Record<string, number>}
  networks?: Record<string, {rx_bytes?: number; tx_bytes?: number}> | null
  blkio_stats?: {io_service_bytes_recursive?: {op?: string; value?: number}[] | null}
}

interface CpuStats {
  cpu_usage?: {total_usage?: number; percpu_usage?: number[]}
  system_cpu_usage?: number
  online_cpus?: number
}

/** The container runs no more: Docker goes on sending empty frames then. */
export function isAfterTheEnd(frame: StatsFrame): boolean {
  return !frame.read || frame.read.startsWith('0001-') || frame.cpu_stats?.system_cpu_usage === undefined
}

/** The first frame of a stream has nothing to compare with. */
export function hasPast(frame: StatsFrame): boolean {
  return frame.precpu_stats?.system_cpu_usage !== undefined
}

/** Cores that the container may use: its cpuset, else its quota; undefined = all. */
export function coreLimit({HostConfig}: ContainerInspectInfo): number | undefined {
  const {CpusetCpus, NanoCpus, CpuQuota, CpuPeriod} = HostConfig
  if (CpusetCpus) return countCpus(CpusetCpus)
  if (NanoCpus) return NanoCpus / 1e9
  if (CpuQuota && CpuQuota > 0) return CpuQuota / (CpuPeriod || 100_000)
  return undefined
}

/** One reading in gpuctl's terms (wire.md 3.5); what the engine does not say is null. */
export function readStats(frame: StatsFrame, cores: number | undefined): ContainerStats {
  const {cpu_stats: now, precpu_stats: before, memory_stats: memory, networks, blkio_stats: blkio} = frame
  const onlineCpus = now?.online_cpus || now?.cpu_usage?.percpu_usage?.length || 1
  const used = (now?.cpu_usage?.total_usage ?? 0) - (before?.cpu_usage?.total_usage ?? 0)
  const passed = (now?.system_cpu_usage ?? 0) - (before?.system_cpu_usage ?? 0)
  const raw = passed > 0 && used >= 0 ? (used / passed) * onlineCpus * 100 : null
  // The page cache can be had back: counted as Docker's own command line does.
  const cache = memory?.stats?.total_inactive_file ?? memory?.stats?.inactive_file ?? 0
  const usage = memory?.usage === undefined ? null : Math.max(0, memory.usage - cache)
  const limit = memory?.limit ?? null
  const interfaces = networks ? Object.values(networks) : undefined
  const blocks = blkio?.io_service_bytes_recursive
  const blockBytes = (op: string) =>
    blocks ? sum(blocks.filter(entry => entry.op?.toLowerCase() === op).map(entry => entry.value ?? 0)) : null
  return {
    at: frame.read ?? '',
    cpuPercent: raw === null ? null : twoDecimals(Math.min(100, raw / (cores ?? onlineCpus))),
    cpuPercentRaw: raw === null ? null : twoDecimals(raw),
    memoryUsageBytes: usage,
    memoryLimitBytes: limit,
    memoryPercent: usage === null || !limit ? null : twoDecimals((usage / limit) * 100),
    networkRxBytes: interfaces ? sum(interfaces.map(one => one.rx_bytes ?? 0)) : null,
    networkTxBytes: interfaces ? sum(interfaces.map(one => one.tx_bytes ?? 0)) : null,
    blockReadBytes: blockBytes('read'),
    blockWriteBytes: blockBytes('write'),
    pids: frame.pids_stats?.current ?? null,
  }
}

/** `0-3,8` are five. */
function countCpus(set: string): number {
  const sizes = set.split(',').map(range => {
    const [from, to = from] = range.split('-').map(Number)
    return (to ?? 0) - (from ?? 0) + 1
  })
  return sum(sizes)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function twoDecimals(value: number): number {
  return Math.round(value * 100) / 100
}
