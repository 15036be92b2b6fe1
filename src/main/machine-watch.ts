import {hostname} from 'node:os'
import type {MachineReading} from '../domain/ports.ts'
import {HostSampler} from '../metrics/host.ts'

/** A reading that is older is taken anew when somebody looks. */
const freshForMs = 1_000

/** The server's own machine as its own sampler sees it: the latest reading at once, the next one behind the scenes. */
export function watchMachine(): () => MachineReading {
  const sampler = new HostSampler()
  const unknown = {cpuPercent: null, memoryPercent: null, diskPercent: null, uptimeSeconds: null}
  let latest: MachineReading = {hostname: hostname(), ...unknown, networkRxBytes: null, networkTxBytes: null}
  let takenAtMs = 0
  let isSampling = false
  const take = async () => {
    isSampling = true
    const {cpuPercent, memoryPercent, diskPercent, uptimeSeconds, networkRxBytes, networkTxBytes} =
      await sampler.sample()
    latest = {...latest, cpuPercent, memoryPercent, diskPercent, uptimeSeconds, networkRxBytes, networkTxBytes}
    takenAtMs = performance.now()
    isSampling = false
  }
  void take()
  return () => {
    if (!isSampling && performance.now() - takenAtMs > freshForMs) void take()
    return latest
  }
}
