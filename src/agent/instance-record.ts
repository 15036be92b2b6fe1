/** What the agent remembers of one instance across its own restarts: which start was done, and which container it is. */
export interface InstanceRecord {
  allocationId: string
  claimId: string
  epoch: number
  /** '' until the container is created. */
  containerId: string
  warnings: string[]
  /** The last start that was begun: its generation, and the container's start time before it. Written before the effect. */
  begun?: {generation: number; startedAtBefore: string}
  /** Why the creation or start of this generation failed. */
  failed?: {generation: number; code: string; message: string}
  /** What the runtime was last told that it may use, and why it would not have it. */
  limits?: {cpus?: number; memoryMiB?: number; refused?: string}
  /** Of a restore that is under way the container before it, and of one that failed what was made for it: to be removed. */
  spare?: string
  refusedRestore?: {count: number; message: string}
  /** A container was there and is gone. */
  vanished: boolean
}

/** All that the agent keeps on its disk. */
export interface AgentState {
  desired: import('../contract/agent-protocol.ts').Desired | null
  records: InstanceRecord[]
  /** Highest epoch seen of each live claim: a command with a lower one is refused (reliability, fencing). */
  epochs: Record<string, number>
}

export interface AgentStateStore {
  load(): Promise<AgentState>
  /** Resolves once the state would survive a crash. */
  save(state: AgentState): Promise<void>
}

export const emptyState = (): AgentState => ({desired: null, records: [], epochs: {}})
