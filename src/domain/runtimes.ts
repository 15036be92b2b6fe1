import type {Runtime} from '../contract/schemas/runtimes.ts'
import type {NodeRecord} from './records.ts'

/**
 * An inference endpoint on a machine, as the store keeps it (wire.md 6.2): key (address, port), an approval of its own
 * that ends at each registration. What it tells in its beats is a RuntimeState. Times RFC 3339.
 */
export interface RuntimeRecord {
  id: string
  number: number
  createdAt: string
  updatedAt: string
  version: number
  /** The machine it runs on, when that is a node of ours. Null = it stands alone. */
  nodeId: string | null
  machineName: string
  /** IP literal in its one spelling. */
  address: string
  /** As registered; the OpenAI-compatible API listens at port + 1. */
  port: number
  runtimeVersion: string
  approval: 'pending' | 'approved'
  /** SHA-256 of its token, hex. */
  tokenHash: string
  registeredAt: string
  customName: string | null
  tags: string[]
  notes: string | null
  gpuDevices: Runtime['gpuDevices']
  gpuCount: number
  gpuModel: string
  supportedRuntimes: string[]
  /** Names that its API listed when it registered. */
  models: string[]
}

export type LoadedModels = Runtime['loaded']
export type RuntimeLoad = NonNullable<Runtime['load']>

/** What a beat tells. Absent members leave what was known. */
export interface RuntimeBeat {
  load: Omit<RuntimeLoad, 'at'>
  /** An empty list leaves what was known. */
  loaded: {[K in keyof LoadedModels]?: string[] | undefined}
  supportedRuntimes: string[]
  initializing: boolean
  ready?: {ready: number; total: number} | undefined
  sync?: Omit<NonNullable<Runtime['sync']>, 'at'> | undefined
}

/** What is known of a runtime at this moment; written behind. */
export interface RuntimeState {
  seenAt: string
  load: RuntimeLoad | null
  loaded: LoadedModels
  /** Empty = as registered. */
  supportedRuntimes: string[]
  initializing: boolean
  ready: {ready: number; total: number} | null
  sync: Runtime['sync']
  onlineSince: string | null
  excludedModels: string[]
  /** An administrator said that it is away; its next beat says otherwise. */
  isDisconnected: boolean
}

export const runtimeTimers = {
  /** Online until the last beat is so old: the document's own figure (wire.md 1.5). */
  onlineForMs: 60_000,
  /** Older readings of load are not trusted. */
  freshForMs: 120_000,
}

export function isReady({initializing, ready}: Pick<RuntimeState, 'initializing' | 'ready'>): boolean {
  return ready ? ready.ready >= ready.total : !initializing
}

/** Derived from admission and liveness, never stored: a pending one cannot become online by falling silent (wire.md 6.4). */
export function runtimeStatus(known: {
  approval: RuntimeRecord['approval']
  /** Of the machine; undefined when the runtime stands alone. */
  admission: NodeRecord['admission'] | undefined
  /** Since the last sign of life; undefined = there was none. */
  ageMs: number | undefined
  isReady: boolean
  onlineForMs: number
}): Runtime['status'] {
  if (known.approval === 'pending' || known.admission === 'pending') return 'pending'
  if (known.admission === 'blocked') return 'offline'
  if (known.ageMs === undefined) return 'registering'
  if (known.ageMs > known.onlineForMs) return 'offline'
  return known.isReady ? 'online' : 'registering'
}

/** Names under which the runtime can be asked: what it listed, and what it says it has loaded. */
export function modelsOf(
  {models}: Pick<RuntimeRecord, 'models'>,
  state: Pick<RuntimeState, 'loaded'> | undefined,
): string[] {
  return [...new Set([...models, ...Object.values(state?.loaded ?? {}).flat()])]
}
