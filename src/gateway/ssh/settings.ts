/** Bounds of the jump host (security T26). Times in milliseconds. */
export const jumpHostSettings = {
  /** Failed tries on one connection; then it is cut. */
  maxTries: 6,
  /** From the first byte to the login. */
  loginGraceMs: 20_000,
  /** Connections that are not logged in, all together; the least promising one makes room. */
  maxUnauthenticated: 64,
  /** Shells, commands and forwarded connections at a time on one connection. */
  maxChannels: 64,
  maxVariables: 64,
  keepaliveMs: 15_000,
  /** So many keepalives without any answer; then the client is gone. */
  maxUnanswered: 3,
  /** Without a byte in either direction. */
  idleMs: 12 * 60 * 60_000,
  /** How long the menu waits for a choice, and for how long it says that there is nothing to choose. */
  menuMs: 5 * 60_000,
  emptyMenuMs: 5_000,
}

export type JumpHostSettings = typeof jumpHostSettings
