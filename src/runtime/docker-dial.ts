import {readFile} from 'node:fs/promises'
import {connect} from 'node:net'
import {Duplex} from 'node:stream'
import type {ContainerInspectInfo} from 'dockerode'
import {type ExecSession, type ExecSpec, RuntimeError} from './driver.ts'
import {openPort} from './open-port.ts'
import {PortRelays} from './port-relays.ts'

/** A process in the container, with its input and output. */
type Exec = (spec: ExecSpec) => Promise<ExecSession>

/**
 * Connects to ports of containers. Where the engine is on this host: to the container's own address, and for what listens
 * only on its loopback through a relay in its network namespace. Elsewhere, or where that is not allowed: through a
 * program that the image has.
 */
export class PortDialler {
  readonly #engineIsHere: boolean
  readonly #relays = new PortRelays()

  constructor({engineIsHere}: {engineIsHere: boolean}) {
    this.#engineIsHere = engineIsHere
  }

  async dial(info: ContainerInspectInfo, port: number, exec: Exec): Promise<Duplex> {
    if (!info.State.Running) throw new RuntimeError('port_closed', 'the container does not run.')
    const pid = await this.#pidHere(info)
    if (pid === undefined) return dialByExec(exec, port)
    if (!(await isListening(pid, port))) throw new RuntimeError('port_closed', 'nothing listens there.')
    const host = addressOf(info)
    const direct = host && (await openPort(connect({host, port, allowHalfOpen: true})).catch(() => undefined))
    if (direct) return direct
    const relayed = await this.#relays.dial(`${info.Id}/${pid}`, pid, port)
    return relayed ?? dialByExec(exec, port)
  }

  close(): void {
    this.#relays.close()
  }

  /** Only when that process of this host really is the container's: an engine elsewhere has pids, too. */
  async #pidHere({Id, State}: ContainerInspectInfo): Promise<number | undefined> {
    if (!this.#engineIsHere || State.Pid <= 1) return undefined
    const cgroup = await readFile(`/proc/${State.Pid}/cgroup`, 'utf8').catch(() => '')
    return cgroup.includes(Id) ? State.Pid : undefined
  }
}

/** Whether anything in the container's network listens on the port, as Linux's /proc/PID/net/tcp tells. */
async function isListening(pid: number, port: number): Promise<boolean> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map(table => readFile(`/proc/${pid}/net/${table}`, 'utf8').catch(() => '')),
  )
  return tables
    .join('\n')
    .split('\n')
    .some(line => {
      const [, local = '', , state] = line.trim().split(/\s+/)
      return state === '0A' && local.endsWith(wanted)
    })
}

function addressOf({NetworkSettings}: ContainerInspectInfo): string | undefined {
  const networks = Object.values(NetworkSettings.Networks ?? {})
  return networks.map(({IPAddress}) => IPAddress).find(Boolean)
}

/** Joins its input and output with a connection to PORT of its own loopback; says on stderr when it cannot. */
const relayScript = `p=$0
has() { command -v "$1" >/dev/null 2>&1; }
if has socat; then exec socat - "TCP:127.0.0.1:$p"; fi
if has nc; then exec nc 127.0.0.1 "$p"; fi
for py in python3 python; do has $py && exec $py -c '
import os,socket,sys,threading
s=socket.create_connection(("127.0.0.1",int(sys.argv[1])))
def up():
    while True:
        b=os.read(0,65536)
        if not b: break
        s.sendall(b)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up,daemon=True).start()
while True:
    b=s.recv(65536)
    if not b: break
    while b: b=b[os.write(1,b):]
' "$p"; done
if has bash; then exec bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" || exit 1; cat <&3 & cat >&3; wait' "$p"; fi
echo 'the image has none of socat, nc, python3 and bash' >&2
exit 127`

async function dialByExec(exec: Exec, port: number): Promise<Duplex> {
  let session: ExecSession
  try {
    session = await exec({command: ['/bin/sh', '-c', relayScript, String(port)], tty: false, stdin: true})
  } catch (error) {
    throw new RuntimeError('port_closed', `no program of the image can connect to it: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const {stdin, stdout, stderr, exited} = session
  let said = ''
  stderr.on('data', piece => {
    said = `${said}${piece}`.slice(0, 500)
  })
  const ended = exited.then(code => ({code}))
  ended.catch(() => {})
  // What cannot connect ends at once; what stays is taken for a connection.
  const early = await Promise.race([ended, new Promise<undefined>(resolve => setTimeout(resolve, 300, undefined))])
  if (early && early.code !== 0 && stdout.readableLength === 0) {
    throw new RuntimeError('port_closed', said.trim() || `nothing listens there.`)
  }
  const joined = Duplex.from({readable: stdout, writable: stdin})
  joined.on('close', () => void session.kill().catch(() => {}))
  return joined
}
