import {Type} from 'typebox'
import {type ControlMessage, encodeControl, encodeFrame, FrameReader, frameKind} from '../../../contract/frames.ts'
import {route} from '../../dialect.ts'
import type {TerminalSpeech} from '../../terminal-speech.ts'
import {bothPrefixes, idOf} from './call.ts'
import {instanceOf} from './instances.ts'
import {ById} from './wire.ts'

const Size = Type.Optional(Type.Integer({minimum: 1, maximum: 1000}))
const [path = '', ...also] = bothPrefixes('/instance/terminal')

/** Section "Web 终端" of document 002, with the frames of wire.md 3.6. */
export const terminalRoutes = [
  route({
    method: 'GET',
    path,
    also,
    access: 'user',
    transport: 'socket',
    summary: 'A shell in an instance, over a WebSocket.',
    query: Type.Object({
      ...ById.properties,
      shell: Type.Optional(Type.Enum(['', 'bash', 'sh'])),
      cols: Size,
      rows: Size,
    }),
    async handle({query, asker, services, sources, request, reply}) {
      const {id} = await instanceOf(services, idOf(query), asker)
      const {shell, cols: columns, rows} = query
      await sources.terminals.open({
        request,
        reply,
        kind: 'terminal',
        stillAllowed: () => services.instances.get({id}, asker),
        start: () => services.instances.openShell({id, ...(shell ? {shell} : {}), columns, rows}, asker),
        speech: jsonSpeech(),
      })
    },
  }),
]

/**
 * Text of the client is `{"type":"input","data"}`, `{"type":"resize","cols","rows"}` or `{"type":"ping"}`; other text,
 * and bytes, are typed as they are. Output comes as binary messages, and what we have to say as text.
 */
export function jsonSpeech(): TerminalSpeech {
  const reader = new FrameReader()
  return {
    read: (message, isBinary) => (isBinary ? typed(message) : readText(message.toString('utf8'))),
    *show(bytes) {
      for (const {kind, payload} of reader.read(bytes)) {
        if (kind === frameKind.control) yield* noticeOf(payload)
        else yield payload
      }
    },
    fail: ({message}) => `\r\n${message}\r\n`,
  }
}

function readText(text: string): ReturnType<TerminalSpeech['read']> {
  const message = parsed(text)
  if (message?.type === undefined) return typed(Buffer.from(text))
  const {type, data, cols, rows} = message
  if (type === 'ping') return {answer: '{"type":"pong"}'}
  if (type === 'input' && typeof data === 'string') return typed(Buffer.from(data))
  if (type === 'resize' && isSize(cols) && isSize(rows)) return {input: encodeControl({resize: {rows, columns: cols}})}
  return {}
}

function typed(bytes: Buffer): {input?: Uint8Array} {
  return bytes.length === 0 ? {} : {input: encodeFrame(frameKind.stdin, bytes)}
}

/** A key that is pressed may be JSON, too: only an object is a message. */
function parsed(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 1000
}

function* noticeOf(payload: Uint8Array): Generator<string> {
  const {exit, error} = JSON.parse(new TextDecoder().decode(payload)) as ControlMessage
  if (exit) yield `\r\nThe shell ended${exit.code === null ? '' : ` with ${exit.code}`}.\r\n`
  if (error) yield `\r\n${error.message}\r\n`
}
