import {connect, createServer, type Socket} from 'node:net'
import {join} from 'node:path'
import {onTestFinished} from 'vitest'
import {temporaryDirectory} from './temporary-directory.ts'

interface Fault {
  request: RegExp
  left: number
  /** `lose`: the engine does the work, its reply never arrives. `hold`: the request does not reach the engine before `release`. */
  kind: 'lose' | 'hold'
  fired: number
  released: Promise<void>
}

export interface EngineProxy {
  /** Where to find the engine, with the faults in between. */
  readonly socketPath: string
  /** The next replies to such requests (`POST /containers/create`) are lost, and their connections cut. */
  loseReplies(request: RegExp, times: number): {readonly fired: number}
  /** Such requests wait on their way until `release`. */
  hold(request: RegExp): {readonly fired: number; release(): void}
}

/** Stands between an agent and its engine on a socket of its own, and lets all pass except what it was told. */
export async function engineProxy(engineSocketPath: string): Promise<EngineProxy> {
  const socketPath = join(await temporaryDirectory('gpuctl-proxy-'), 'docker.sock')
  const faults: Fault[] = []
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const engine = connect(engineSocketPath)
    let losing: Fault | undefined
    let forwarding: Promise<void> = Promise.resolve()
    for (const [one, other] of [
      [client, engine],
      [engine, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
    client.on('data', (piece: Buffer) => {
      // Requests come one at a time, each with its head in the first piece.
      const head = piece.toString('latin1').split('\r\n', 1)[0] ?? ''
      const fault = faults.find(({request, left}) => left > 0 && request.test(head))
      if (fault) {
        fault.left--
        fault.fired++
        if (fault.kind === 'lose') losing = fault
        else forwarding = forwarding.then(() => fault.released)
      }
      forwarding = forwarding.then(() => void engine.write(piece))
    })
    client.on('end', () => engine.end())
    engine.on('data', piece => {
      if (losing) client.destroy()
      else client.write(piece)
    })
    engine.on('end', () => client.end())
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socketPath, resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const add = (fault: Omit<Fault, 'fired'>): Fault => {
    const added = {...fault, fired: 0}
    faults.push(added)
    return added
  }
  return {
    socketPath,
    loseReplies: (request, times) => add({request, left: times, kind: 'lose', released: Promise.resolve()}),
    hold(request) {
      let release = () => {}
      const released = new Promise<void>(resolve => {
        release = resolve
      })
      const fault = add({request, left: Number.POSITIVE_INFINITY, kind: 'hold', released})
      return {
        get fired() {
          return fault.fired
        },
        release() {
          fault.left = 0
          release()
        },
      }
    },
  }
}
