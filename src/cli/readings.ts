import type {InstanceStats} from '../contract/schemas/instances.ts'
import type {NodeStats} from '../contract/schemas/nodes.ts'
import type {Column} from './output/column.ts'
import {bytes, memory, percent} from './output/figures.ts'

export const nodeStatsColumns: Column<NodeStats>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'status', value: ({status}) => status},
  {name: 'cpu', value: ({cpuPercent}) => cpuPercent, shown: ({cpuPercent}) => percent(cpuPercent)},
  {name: 'memory', value: ({memoryPercent}) => memoryPercent, shown: memoryInUse},
  {name: 'disk', value: ({diskPercent}) => diskPercent, shown: ({diskPercent}) => percent(diskPercent)},
  {name: 'load', value: ({load1}) => load1},
  {name: 'gpus', value: gpuLoads},
  {name: 'time', value: ({at}) => at, wide: true},
]

function memoryInUse({memoryPercent, memoryUsedMiB, memoryTotalMiB}: NodeStats): string {
  if (memoryUsedMiB === null) return percent(memoryPercent)
  return [memory(memoryUsedMiB), memory(memoryTotalMiB)].filter(Boolean).join(' of ')
}

/** `0: 73 % 18 GiB, 1: 2 % 1 GiB (simulated)`. */
function gpuLoads({gpus}: {gpus: readonly GpuReading[]}): string {
  return gpus
    .map(gpu => {
      const figures = [percent(gpu.utilizationPercent) || '? %', memory(gpu.memoryUsedMiB)]
      return `${gpu.index}: ${[...figures, gpu.simulated ? '(simulated)' : ''].filter(Boolean).join(' ')}`
    })
    .join(', ')
}

type GpuReading = {index: number; utilizationPercent: number | null; memoryUsedMiB: number | null; simulated: boolean}

export const instanceStatsColumns: Column<InstanceStats>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'cpu', value: ({cpuPercent}) => cpuPercent, shown: ({cpuPercent}) => percent(cpuPercent)},
  {
    name: 'memory',
    value: ({memoryUsageBytes}) => memoryUsageBytes,
    shown: ({memoryUsageBytes}) => bytes(memoryUsageBytes),
  },
  {
    name: 'limit',
    value: ({memoryLimitBytes}) => memoryLimitBytes,
    shown: ({memoryLimitBytes}) => bytes(memoryLimitBytes),
  },
  {
    name: 'received',
    value: ({networkRxBytes}) => networkRxBytes,
    unit: 'bytes',
    shown: ({networkRxBytes}) => bytes(networkRxBytes),
  },
  {
    name: 'sent',
    value: ({networkTxBytes}) => networkTxBytes,
    unit: 'bytes',
    shown: ({networkTxBytes}) => bytes(networkTxBytes),
  },
  {
    name: 'read',
    value: ({blockReadBytes}) => blockReadBytes,
    unit: 'bytes',
    shown: ({blockReadBytes}) => bytes(blockReadBytes),
  },
  {
    name: 'written',
    value: ({blockWriteBytes}) => blockWriteBytes,
    shown: ({blockWriteBytes}) => bytes(blockWriteBytes),
  },
  {name: 'pids', value: ({pids}) => pids},
  {name: 'gpus', value: gpuLoads},
]
