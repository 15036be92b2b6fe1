import type {FastifyReply, FastifyRequest} from 'fastify'
import type {RawData, WebSocket, WebSocketServer} from 'ws'
import type {Caller} from '../domain/caller.ts'
import {problem} from '../domain/errors.ts'
import type {ExecStream} from '../domain/ports.ts'
import {asProblem} from './errors.ts'
import type {OpenStreams} from './open-streams.ts'
import type {ServerSettings} from './settings.ts'
import {closeCode, type TerminalSpeech, Unspoken} from './terminal-speech.ts'
import type {Upgrades} from './upgrade.ts'

const maxUnsentBytes = 256 * 1024

interface TerminalParts {
  settings: ServerSettings
  open: OpenStreams
  upgrades: Upgrades
}

interface TerminalWish {
  request: FastifyRequest
  reply: FastifyReply
  /** A terminal ends when nothing passes for long, a transfer does not. */
  kind: 'terminal' | 'transfer'
  /** Rejects when the caller may no longer see what the terminal is in. */
  stillAllowed: () => Promise<unknown>
  start: () => Promise<ExecStream>
  speech: TerminalSpeech
}

/** The library is loaded when the first terminal is opened. */
async function openSockets(): Promise<WebSocketServer> {
  const {WebSocketServer} = await import('ws')
  return new WebSocketServer({noServer: true, maxPayload: 1024 * 1024, perMessageDeflate: false})
}

/** A command with a WebSocket before it: limits, idle time, Origin and revocation are the same for every family. */
export class Terminals {
  readonly #parts: TerminalParts
  #sockets: Promise<WebSocketServer> | undefined

  constructor(parts: TerminalParts) {
    this.#parts = parts
  }

  /** Opens the command first, so that a refusal is still an HTTP answer, then the WebSocket. */
  async open({request, reply, kind, stillAllowed, start, speech}: TerminalWish): Promise<void> {
    const {upgrades, open} = this.#parts
    const caller = request.asker as Caller
    checkHandshake(request, upgrades)
    let end: (why: 'stopping' | 'revoked') => void = () => request.raw.socket.destroy()
    const leave = open.add({
      caller,
      credential: request.credential,
      kind,
      stillAllowed,
      end: why => end(why),
    })
    try {
      this.#sockets ??= openSockets()
      const sockets = await this.#sockets
      const exec = await start()
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
        this.#join(socket, exec, {request, kind, speech})
      })
    } catch (error) {
      leave()
      throw error
    }
  }

  #join(
    socket: WebSocket,
    exec: ExecStream,
    {request, kind, speech}: Pick<TerminalWish, 'request' | 'kind' | 'speech'>,
  ): void {
    const mayIdle = kind === 'transfer'
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
    let written = Promise.resolve()
    socket.on('message', (message: RawData, isBinary: boolean) => {
      lastByteAt = Date.now()
      const {input, answer} = heard(socket, speech, message as Buffer, isBinary)
      if (answer !== undefined) socket.send(answer)
      if (!input) return
      socket.pause()
      written = written
        .then(() => exec.write(input))
        .then(() => socket.resume())
        .catch(() => socket.close(closeCode.failed, 'input failed'))
    })
    void this.#copyOutput(socket, exec, speech, request, () => {
      lastByteAt = Date.now()
    })
  }

  async #copyOutput(
    socket: WebSocket,
    exec: ExecStream,
    speech: TerminalSpeech,
    request: FastifyRequest,
    touch: () => void,
  ): Promise<void> {
    try {
      for await (const bytes of exec.output) {
        if (socket.readyState !== socket.OPEN) return
        touch()
        for (const message of speech.show(bytes)) {
          if (socket.bufferedAmount > maxUnsentBytes) await sent(socket, message)
          else socket.send(message)
        }
      }
      socket.close(closeCode.done)
    } catch (error) {
      const failure = asProblem(error, 0)
      if (failure.kind === 'internal') request.log.error({requestId: request.id, err: failure.cause}, 'terminal failed')
      if (socket.readyState !== socket.OPEN) return
      socket.send(speech.fail(failure))
      socket.close(closeCode.failed, failure.code)
    }
  }
}

/** Resolves when the bytes have left for the kernel, or the socket is gone. */
async function sent(socket: WebSocket, message: string | Uint8Array): Promise<void> {
  await new Promise<void>(resolve => {
    const go = () => {
      socket.off('close', go)
      resolve()
    }
    socket.once('close', go)
    socket.send(message, go)
  })
}

/** What a message means. One that is none of the protocol ends the terminal. */
function heard(
  socket: WebSocket,
  speech: TerminalSpeech,
  message: Buffer,
  isBinary: boolean,
): ReturnType<TerminalSpeech['read']> {
  try {
    return speech.read(message, isBinary)
  } catch (error) {
    if (!(error instanceof Unspoken)) throw error
    socket.close(error.closeCode, error.message)
    return {}
  }
}

function checkHandshake({raw}: FastifyRequest, upgrades: Upgrades): void {
  const {'sec-websocket-key': key, 'sec-websocket-version': version} = raw.headers
  const isHandshake = /^[+/0-9A-Za-z]{22}==$/.test(key ?? '') && version === '13'
  if (upgrades.wants(raw, 'websocket') && isHandshake) return
  const fix = 'Open it as a WebSocket, version 13.'
  throw problem('input_invalid', {field: 'Upgrade', problem: 'is not that of a WebSocket', fix})
}
