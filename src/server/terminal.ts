import type {FastifyReply, FastifyRequest} from 'fastify'
import type {RawData, WebSocket, WebSocketServer} from 'ws'
import type {InputOf} from '../contract/contract.ts'
import {encodeControl, FrameReader, frameKind} from '../contract/frames.ts'
import type {Caller} from '../domain/caller.ts'
import {problem} from '../domain/errors.ts'
import type {ExecStream} from '../domain/ports.ts'
import type {Services} from '../domain/services/services.ts'
import {asProblem} from './errors.ts'
import {framedConnection, framedUpload} from './framed-bytes.ts'
import type {OpenStreams} from './open-streams.ts'
import type {ServerSettings} from './settings.ts'
import type {Upgrades} from './upgrade.ts'

/** Close codes: those of RFC 6455, and our own above 4000. */
const closeCode = {
  done: 1000,
  stopping: 1001,
  protocol: 1002,
  text: 1003,
  failed: 1011,
  idle: 4000,
  revoked: 4401,
}

const maxUnsentBytes = 256 * 1024

interface TerminalParts {
  services: Services
  settings: ServerSettings
  open: OpenStreams
  upgrades: Upgrades
}

/** The library is loaded when the first terminal is opened. */
async function openSockets(): Promise<WebSocketServer> {
  const {WebSocketServer} = await import('ws')
  return new WebSocketServer({noServer: true, maxPayload: 1024 * 1024, perMessageDeflate: false})
}

/** How each operation over a WebSocket begins. */
const openers = {
  'instances.exec': (input: InputOf<'instances.exec'>, caller: Caller, {instances}: Services) =>
    instances.openExec(input, caller),
  'instances.forward': async (input: InputOf<'instances.forward'>, caller: Caller, {instances}: Services) =>
    framedConnection(await instances.openForward(input, caller)),
  'instances.unpack': async (input: InputOf<'instances.unpack'>, caller: Caller, {instances}: Services) => {
    await instances.statPath(input, caller) // what can be refused is refused before the upload
    return framedUpload(content => instances.writeArchive(input, content, caller))
  },
}
export type SocketOperation = keyof typeof openers

/** One end of such an operation for each WebSocket: binary messages are frames (contract/frames.ts) both ways. */
export class Terminals {
  readonly #parts: TerminalParts
  #sockets: Promise<WebSocketServer> | undefined

  constructor(parts: TerminalParts) {
    this.#parts = parts
  }

  /** Opens the command first, so that a refusal is still an HTTP answer, then the WebSocket. */
  async open<N extends SocketOperation>(
    name: N,
    input: InputOf<N>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> {
    const {services, upgrades, open} = this.#parts
    const caller = request.asker as Caller
    checkHandshake(request, upgrades)
    let end: (why: 'stopping' | 'revoked') => void = () => request.raw.socket.destroy()
    const leave = open.add({
      caller,
      credential: request.credential,
      kind: name === 'instances.exec' ? 'terminal' : 'transfer',
      stillAllowed: () => services.instances.get({id: input.id}, caller),
      end: why => end(why),
    })
    try {
      this.#sockets ??= openSockets()
      const sockets = await this.#sockets
      const exec = await openers[name](input as never, caller, services)
      const upgrade = upgrades.take(request.raw, 'websocket')
      if (!upgrade?.socket.readable || !upgrade.socket.writable) {
        exec.close()
        leave()
        reply.hijack()
        return
      }
      reply.hijack()
      sockets.handleUpgrade(request.raw, upgrade.socket, upgrade.head, socket => {
        end = why => socket.close(closeCode[why], why)
        socket.once('close', leave)
        this.#join(socket, exec, request, name !== 'instances.exec')
      })
    } catch (error) {
      leave()
      throw error
    }
  }

  #join(socket: WebSocket, exec: ExecStream, request: FastifyRequest, mayIdle: boolean): void {
    const {pingMs, terminalIdleMs} = this.#parts.settings
    let lastByteAt = Date.now()
    let answered = true
    const watch = setInterval(() => {
      if (!answered) return socket.terminate()
      if (!mayIdle && Date.now() - lastByteAt > terminalIdleMs) return socket.close(closeCode.idle, 'idle')
      answered = false
      socket.ping()
    }, pingMs)
    socket.on('pong', () => {
      answered = true
    })
    socket.on('error', () => socket.terminate())
    socket.once('close', () => {
      clearInterval(watch)
      exec.close()
    })
    const reader = new FrameReader()
    let written = Promise.resolve()
    socket.on('message', (message: RawData, isBinary: boolean) => {
      lastByteAt = Date.now()
      if (!isBinary) return socket.close(closeCode.text, 'binary frames only')
      const bytes = message as Buffer
      if (!areInput(reader, bytes)) return socket.close(closeCode.protocol, 'not a frame')
      socket.pause()
      written = written
        .then(() => exec.write(bytes))
        .then(() => socket.resume())
        .catch(() => socket.close(closeCode.failed, 'input failed'))
    })
    void this.#copyOutput(socket, exec, request, () => {
      lastByteAt = Date.now()
    })
  }

  async #copyOutput(socket: WebSocket, exec: ExecStream, request: FastifyRequest, touch: () => void): Promise<void> {
    try {
      for await (const bytes of exec.output) {
        if (socket.readyState !== socket.OPEN) return
        touch()
        if (socket.bufferedAmount > maxUnsentBytes) await sent(socket, bytes)
        else socket.send(bytes)
      }
      socket.close(closeCode.done)
    } catch (error) {
      const failure = asProblem(error, 0)
      if (failure.kind === 'internal') request.log.error({requestId: request.id, err: failure.cause}, 'terminal failed')
      if (socket.readyState !== socket.OPEN) return
      socket.send(encodeControl({error: {code: failure.code, message: failure.message}}))
      socket.close(closeCode.failed, failure.code)
    }
  }
}

/** Resolves when the bytes have left for the kernel, or the socket is gone. */
async function sent(socket: WebSocket, bytes: Uint8Array): Promise<void> {
  await new Promise<void>(resolve => {
    const go = () => {
      socket.off('close', go)
      resolve()
    }
    socket.once('close', go)
    socket.send(bytes, go)
  })
}

function areInput(reader: FrameReader, bytes: Buffer): boolean {
  try {
    for (const {kind} of reader.read(bytes)) {
      if (kind !== frameKind.stdin && kind !== frameKind.control) return false
    }
    return true
  } catch {
    return false
  }
}

function checkHandshake({raw}: FastifyRequest, upgrades: Upgrades): void {
  const {'sec-websocket-key': key, 'sec-websocket-version': version} = raw.headers
  const isHandshake = /^[+/0-9A-Za-z]{22}==$/.test(key ?? '') && version === '13'
  if (upgrades.wants(raw, 'websocket') && isHandshake) return
  const fix = 'Open it as a WebSocket, version 13.'
  throw problem('input_invalid', {field: 'Upgrade', problem: 'is not that of a WebSocket', fix})
}
