import {type ChildProcess, spawn} from 'node:child_process'
import {mkdtemp, rm} from 'node:fs/promises'
import {connect, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {RuntimeError} from './driver.ts'

const startMs = 5_000
/** A relay that nobody uses ends after this. */
const idleMs = 60_000
/** Connections through one relay. */
const maxConnections = 512

interface Relay {
  child: ChildProcess
  folder: string
  connections: number
  idle: NodeJS.Timeout | undefined
}

/** One relay program for each container that needs one, in its network namespace (nsenter: root only). */
export class PortRelays {
  readonly #relays = new Map<string, Promise<Relay | undefined>>()

  /** A connection to the loopback of a container (its id and pid, since a restart is another network); undefined where this host does not let us. Throws port_closed. */
  async dial(container: string, pid: number, port: number): Promise<Socket | undefined> {
    const relay = await this.#relay(container, pid)
    if (!relay) return undefined
    if (relay.connections >= maxConnections) throw new RuntimeError('port_closed', 'too many connections are open.')
    relay.connections++
    clearTimeout(relay.idle)
    const socket = connect({path: join(relay.folder, 'relay'), allowHalfOpen: true})
    socket.once('close', () => {
      relay.connections--
      if (relay.connections === 0) relay.idle = setTimeout(() => relay.child.stdin?.end(), idleMs).unref()
    })
    await greeted(socket, port)
    return socket
  }

  close(): void {
    for (const relay of this.#relays.values()) void relay.then(one => one?.child.stdin?.end())
  }

  #relay(container: string, pid: number): Promise<Relay | undefined> {
    const known = this.#relays.get(container)
    if (known) return known
    const forget = () => void this.#relays.delete(container)
    const starting = startRelay(pid, forget)
    this.#relays.set(container, starting)
    return starting
  }
}

async function startRelay(pid: number, onEnd: () => void): Promise<Relay | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'gpuctl-relay-'))
  const program = [process.execPath, builtRelay(), join(folder, 'relay')]
  const child = spawn('nsenter', [`--net=/proc/${pid}/ns/net`, '--', ...program], {stdio: ['pipe', 'pipe', 'ignore']})
  child.stdin.on('error', () => {}) // it has ended
  const ended = new Promise<false>(resolve => {
    child.once('error', () => resolve(false))
    child.once('exit', () => resolve(false))
  })
  void ended.then(() => rm(folder, {recursive: true, force: true})).then(onEnd)
  const ready = new Promise<true>(resolve => child.stdout.once('data', () => resolve(true)))
  const timer = setTimeout(() => child.kill('SIGKILL'), startMs)
  const isReady = await Promise.race([ready, ended])
  clearTimeout(timer)
  child.unref()
  return isReady ? {child, folder, connections: 0, idle: undefined} : undefined
}

/** Says which port, and waits for the byte that says it is connected. */
function greeted(socket: Socket, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = () => reject(new RuntimeError('port_closed', 'the connection was refused.'))
    socket.on('error', refuse)
    socket.once('close', refuse)
    socket.once('connect', () => {
      const head = Buffer.alloc(2)
      head.writeUInt16BE(port)
      socket.write(head)
    })
    socket.once('readable', () => {
      if (socket.read(1) === null) return refuse()
      socket.off('close', refuse)
      resolve()
    })
  })
}

/** The same place for a source file and for a built chunk: both lie two folders deep. */
function builtRelay(): string {
  return fileURLToPath(new URL('../../dist/runtime/port-relay.cjs', import.meta.url))
}
