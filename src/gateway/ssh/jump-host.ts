import {once} from 'node:events'
import {type AddressInfo, createServer, type Socket} from 'node:net'
import ssh2 from 'ssh2'
import type {Services} from '../../domain/services/services.ts'
import type {SshDoor} from '../../domain/session.ts'
import {fingerprintOf} from '../../domain/ssh-key.ts'
import {newId} from '../../platform/ids.ts'
import type {Logger} from '../../platform/logger.ts'
import {serveConnection} from './connection.ts'
import {loadHostKey, publicKeyOf} from './host-key.ts'
import {type JumpHostSettings, jumpHostSettings} from './settings.ts'
import {WaitingRoom} from './waiting-room.ts'

/** AES-GCM first: Node has it in hardware. Nothing with SHA-1, no CBC. */
const algorithms = {
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
    'aes128-ctr',
    'aes256-ctr',
  ] as ssh2.CipherAlgorithm[],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256'] as ssh2.MacAlgorithm[],
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'diffie-hellman-group14-sha256',
  ] as ssh2.KexAlgorithm[],
  compress: ['none'] as ssh2.CompressionAlgorithm[],
}

export interface JumpHost {
  door: SshDoor
  /** Ends all connections. */
  close(): Promise<void>
}

export interface JumpHostOptions {
  /** Where the host key is kept. */
  directory: string
  host: string
  /** 0 = a free one. */
  port: number
  services: Services
  logger: Logger
  settings?: Partial<JumpHostSettings>
}

/** Opens the SSH door to the instances (wire.md 3.7). Throws as `listen` does when the port is taken. */
export async function startJumpHost(options: JumpHostOptions): Promise<JumpHost> {
  const {directory, host, services, logger} = options
  const settings = {...jumpHostSettings, ...options.settings}
  const hostKey = await loadHostKey(directory)
  const {line, blob} = publicKeyOf(hostKey)
  const room = new WaitingRoom({most: settings.maxUnauthenticated, graceMs: settings.loginGraceMs})
  const sockets = new Set<Socket>()
  /** By the address and port of the client, until it has said that it speaks SSH. */
  const greetings = new Map<string, (client: ssh2.Connection) => void>()
  const {keepaliveMs: keepaliveInterval, maxUnanswered: keepaliveCountMax} = settings
  const ssh = new ssh2.Server({hostKeys: [hostKey], ident: 'gpuctl', algorithms, keepaliveInterval, keepaliveCountMax})
  ssh.on('connection', (client, {ip, port}) => greetings.get(`${ip} ${port}`)?.(client))
  const listener = createServer({noDelay: true, keepAlive: true}, socket => {
    sockets.add(socket)
    const at = `${socket.remoteAddress} ${socket.remotePort}`
    socket.once('close', () => {
      sockets.delete(socket)
      greetings.delete(at)
    })
    socket.on('error', () => {}) // its close says the rest
    const onLogin = room.enter(socket)
    const peer = {address: socket.remoteAddress ?? '', requestId: newId()}
    greetings.set(at, client => serveConnection({client, socket, peer, services, settings, logger, onLogin}))
    ssh.injectSocket(socket)
  })
  listener.listen(options.port, host)
  await once(listener, 'listening')
  listener.on('error', error => logger.error({err: error}, 'the jump host cannot take connections'))
  const {port} = listener.address() as AddressInfo
  return {
    door: {host, port, fingerprint: fingerprintOf(blob), publicKey: line},
    async close() {
      listener.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
