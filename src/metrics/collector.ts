/** What a GPU device is. An unknown figure is null, never 0. Memory in MiB (2^20 bytes). */
export interface GpuReading {
  /** Position on the node, the index under which the server books it; unique per node, stable while the hardware is. */
  index: number
  /** Vendor's identity: `GPU-…` or `MIG-…` (nvidia), the unique id (amd), `FAKE-…` (simulated). */
  uuid: string
  vendor: 'nvidia' | 'amd' | 'fake'
  model: string
  memoryMiB: number | null
  memoryUsedMiB: number | null
  utilizationPercent: number | null
  temperatureC: number | null
  powerW: number | null
  computeCapability: string | null
  /** Device files that a container needs for it (amd); empty where the runtime injects them by uuid (nvidia). */
  devicePaths: string[]
  /** The card that a MIG slice is cut from, else null. */
  parentUuid: string | null
  simulated: boolean
}

export interface GpuSample {
  /** `lost`: the driver or a card stopped answering; `reason` says what the tool said. */
  state: 'ok' | 'lost'
  reason: string
  driverVersion: string | null
  gpus: GpuReading[]
}

/** A way to find and read the GPUs of this host. */
export interface GpuCollector {
  readonly vendor: GpuReading['vendor']
  /** Why it cannot read here, or undefined when it can. */
  unavailable(): Promise<string | undefined>
  /** Reads all GPUs once. Never throws for a sick driver: that is `state: 'lost'`. */
  sample(): Promise<GpuSample>
  /** Ends any helper process. May be repeated. */
  close(): Promise<void>
}

/** One reading of the host. Percentages 0–100, memory in MiB, counters in bytes since boot; null is unknown. */
export interface HostSample {
  cpuPercent: number | null
  cpus: number
  memoryTotalMiB: number
  memoryUsedMiB: number
  memoryPercent: number
  /** Fullest of the local partitions that hold data. */
  diskPercent: number | null
  load1: number
  uptimeSeconds: number
  networkRxBytes: number | null
  networkTxBytes: number | null
}
