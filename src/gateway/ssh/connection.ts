import type {Socket} from 'node:net'
import type {Connection, Session} from 'ssh2'
import type {Peer, Services} from '../../domain/services/services.ts'
import type {Logger} from '../../platform/logger.ts'
import {Authentication, type Login} from './authentication.ts'
import {joinForward, openForward} from './forwarding.ts'
import {SessionChannel} from './session-channel.ts'
import type {JumpHostSettings} from './settings.ts'
import {Visit} from './visit.ts'

/** How long a client has to hear why before its socket goes. */
const goodbyeMs = 300

interface ConnectionParts {
  client: Connection
  socket: Socket
  peer: Peer
  services: Services
  settings: JumpHostSettings
  logger: Logger
  /** It has logged in. */
  onLogin: () => void
}

/** Serves one TCP connection, from the key exchange to its end. */
export function serveConnection(parts: ConnectionParts): void {
  const {client, socket, peer, services, settings, logger, onLogin} = parts
  let login: Login | undefined
  const cut = (reason: string, error?: unknown) => {
    if (error) logger.warn({err: error, requestId: peer.requestId}, 'an SSH login failed')
    else logger.info({address: peer.address, reason}, 'an SSH connection was cut')
    client.end()
    socket.destroySoon()
  }
  const authentication = new Authentication({
    ...{services, peer, maxTries: settings.maxTries, onCut: cut},
    onLogin: made => {
      login = made
    },
  })
  client.on('authentication', context => void authentication.take(context))
  client.on('error', error => {
    logger.debug({err: error, address: peer.address}, 'an SSH connection broke')
    // ssh2 ends its half only: a client that is stopped would keep the other one, its session and its processes.
    destroySoon(socket)
  })
  client.on('ready', () => {
    onLogin()
    socket.setTimeout(settings.idleMs, () => socket.destroy())
    if (login) serveVisit(parts, login)
  })
}

function serveVisit({client, socket, services, settings, logger}: ConnectionParts, login: Login): void {
  const end = () => {
    client.end()
    destroySoon(socket)
  }
  const gone = new AbortController()
  const bytes = () => ({in: socket.bytesRead, out: socket.bytesWritten})
  const session = services.sessions.open({kind: 'ssh', caller: login.caller, bytes, end})
  const visit = new Visit({login, services, settings, logger, session, gone: gone.signal})
  socket.once('close', () => {
    gone.abort()
    session.then(open => open.close()).catch(() => {})
  })
  let channels = 0
  const mayOpen = () => channels < settings.maxChannels
  client.on('session', (accept, reject) => {
    if (!mayOpen()) return reject()
    channels++
    const opened = accept() as Session
    opened.once('close', () => channels--)
    new SessionChannel(opened, visit)
  })
  client.on('tcpip', (accept, reject, info) => {
    if (!mayOpen()) return reject()
    channels++
    openForward(visit, info)
      .then(
        stream => joinForward(accept(), stream, gone.signal),
        error => {
          logger.debug({reason: visit.words(error)}, 'a forwarding was refused')
          reject()
        },
      )
      .catch(error => logger.debug({err: error}, 'a forwarding broke'))
      .finally(() => channels--)
  })
}

function destroySoon(socket: Socket): void {
  setTimeout(() => socket.destroy(), goodbyeMs).unref()
}
