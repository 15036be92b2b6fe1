/** Limits and pace of the server. Every one has a default; benches and tests change single ones. */
export interface ServerSettings {
  /** Further host names under which callers may reach the server, beside loopback and the listen addresses. */
  hosts: readonly string[]
  /** Connections at once, per listener; undefined = three quarters of the process's descriptor limit. */
  maxConnections: number | undefined
  maxBodyBytes: number
  /** Bodies of calls of models that are in memory together. */
  maxInferenceBytes: number
  /** Largest body of a join request. */
  maxJoinBytes: number
  /** A request must have arrived in full by then. */
  requestTimeoutMs: number
  keepAliveTimeoutMs: number
  maxStreamsPerUser: number
  maxStreamsPerAddress: number
  maxTerminalsPerUser: number
  /** Forwarded connections and uploads. */
  maxTransfersPerUser: number
  /** A subscriber that has more than this unread is cut off. */
  maxQueuedBytes: number
  /** Events that a returning subscriber can catch up from memory. */
  ringEvents: number
  pingMs: number
  /** Time between two readings on the statistics streams. */
  statsTickMs: number
  /** How often an open stream's credential is looked at again. */
  recheckMs: number
  /** A terminal without a byte either way ends after this. */
  terminalIdleMs: number
}

export const defaultSettings: ServerSettings = {
  hosts: [],
  maxConnections: undefined,
  maxBodyBytes: 1024 * 1024,
  maxInferenceBytes: 256 * 1024 * 1024,
  maxJoinBytes: 4096,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 75_000,
  maxStreamsPerUser: 64,
  maxStreamsPerAddress: 1024,
  maxTerminalsPerUser: 5,
  maxTransfersPerUser: 256,
  maxQueuedBytes: 256 * 1024,
  ringEvents: 1000,
  pingMs: 10_000,
  statsTickMs: 1000,
  recheckMs: 60_000,
  terminalIdleMs: 15 * 60_000,
}
