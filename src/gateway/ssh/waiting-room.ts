import type {Socket} from 'node:net'

/**
 * Connections that have not logged in. When there are too many, one of the address that has most goes: one that never
 * spoke before one that did, the oldest first, so that idle sockets never keep a person out (T26).
 */
export class WaitingRoom {
  readonly #waiting = new Set<Socket>()
  readonly #most: number
  readonly #graceMs: number

  constructor({most, graceMs}: {most: number; graceMs: number}) {
    this.#most = most
    this.#graceMs = graceMs
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Cuts the connection when it has not left in time. Call the answer when it has logged in. */
  enter(socket: Socket): () => void {
    if (this.#waiting.size >= this.#most) this.#leastPromising()?.destroy()
    this.#waiting.add(socket)
    const timer = setTimeout(() => socket.destroy(), this.#graceMs)
    const leave = () => {
      clearTimeout(timer)
      this.#waiting.delete(socket)
    }
    socket.once('close', leave)
    return leave
  }

  #leastPromising(): Socket | undefined {
    const counts = new Map<string | undefined, number>()
    for (const {remoteAddress} of this.#waiting) counts.set(remoteAddress, (counts.get(remoteAddress) ?? 0) + 1)
    const most = Math.max(...counts.values())
    const candidates = [...this.#waiting].filter(({remoteAddress}) => counts.get(remoteAddress) === most)
    const victim = candidates.find(({bytesRead}) => bytesRead === 0) ?? candidates[0]
    if (victim) this.#waiting.delete(victim)
    return victim
  }
}
