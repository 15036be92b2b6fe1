import type {IncomingMessage} from 'node:http'
import type {Readable} from 'node:stream'
import type {InputOf, OutputOf} from '../contract/contract.ts'
import type {Frame} from '../contract/frames.ts'
import {apiPrefix, type OperationName, routes} from '../contract/routes.ts'
import type {PathStat} from '../contract/schemas/instances.ts'
import {ApiError, notGpuctl, readFailure, UnreachableError} from './api-error.ts'
import type {ServerEvent} from './events.ts'
import {exchange} from './exchange.ts'
import {maskText} from './masked.ts'
import type {Message, Target} from './message.ts'
import {requestParts} from './request-parts.ts'
import type {Terminal} from './terminal.ts'
import {isDryRun, Tried} from './tried.ts'

export interface ClientParts {
  /** Found out at the first call, because it may ask files and the keyring. */
  target: () => Promise<Target>
  userAgent: string
  /** Longest silence of the server, ms. */
  timeoutMs?: number
  /** Told of every HTTP exchange, without secrets. */
  trace?: (line: string) => void
  /** Every change is only tried: its call throws Tried, unless the operation answers dry runs in its own way. */
  rehearses?: boolean | undefined
  /** Gets every message in place of the server, and ends the command. */
  instead?: (planned: Planned) => Promise<never>
  /** Told of each answer's head; what it throws ends the call. */
  answered?: (answer: {serverVersion: string | undefined; method: string; isRefusal: boolean}) => void
  /** Told that a call begins; what it returns is called at its end. */
  began?: () => () => void
}

/** A message that would be sent. */
export interface Planned {
  operation: OperationName | undefined
  message: Pick<Message, 'method' | 'path' | 'headers' | 'body'>
  uploadBytes?: number
  transport: 'json' | 'events' | 'bytes' | 'socket'
}

type Given = Partial<Message> & {method: string; path: string}

export interface CallOptions {
  signal?: AbortSignal
  /** Makes a POST safe to repeat; `claims.submit` and `instances.create` get one by themselves. */
  idempotencyKey?: string
  /** What the call makes is marked as part of this set of files (`apply`). */
  applySet?: string
  /** A look before what the command is for: made also where that is only shown (--curl). */
  prepares?: boolean
}

/** Retries of one call: full jitter under a ceiling that doubles, all within one budget (milliseconds). */
const retry = {firstMs: 200, ceilingMs: 7_000, budgetMs: 30_000, budgetWhenNobodyListensMs: 1_000}
const repeatable: ReadonlySet<OperationName> = new Set(['claims.submit', 'instances.create'])

export interface RemoteArchive {
  stat: PathStat
  content: AsyncIterable<Buffer>
}

/** The native API with the contract's types. One connection a call; nothing stays open behind it. */
export class Client {
  readonly #parts: ClientParts
  #target: Promise<Target> | undefined

  constructor(parts: ClientParts) {
    this.#parts = parts
  }

  target(): Promise<Target> {
    this.#target ??= this.#parts.target()
    return this.#target
  }

  /** Throws ApiError when the server refuses, UnreachableError when it does not answer. */
  async call<N extends OperationName>(name: N, input: InputOf<N>, options: CallOptions = {}): Promise<OutputOf<N>> {
    const isTried = Boolean(this.#parts.rehearses) && !routes[name].startsWith('GET ')
    const {method, path, body} = requestParts(name, isTried ? {...input, dryRun: true} : {...input})
    const key = options.idempotencyKey ?? (repeatable.has(name) ? await newKey() : undefined)
    const headers: Record<string, string> = {
      ...(key === undefined ? {} : {'idempotency-key': key}),
      ...(options.applySet === undefined ? {} : {'x-gpuctl-apply-set': options.applySet}),
    }
    if (!options.prepares) await this.#show(name, {method, path, body, headers})
    const ended = this.#parts.began?.()
    try {
      const message = {method, path, body, headers, signal: options.signal}
      const text = await this.#repeat(method === 'GET' || key !== undefined, options.signal, () =>
        this.#exchange(message),
      )
      const answer = readAnswer(text)
      if (isTried && isDryRun(answer)) throw new Tried(answer)
      return answer as OutputOf<N>
    } finally {
      ended?.()
    }
  }

  /** Where messages are only shown, this one is, and nothing more happens. */
  async #show(
    operation: OperationName | undefined,
    {method, path, body, headers = {}, upload}: Partial<Message> & {method: string; path: string},
    transport: Planned['transport'] = 'json',
  ): Promise<void> {
    const message = {method, path, body, headers}
    await this.#parts.instead?.({operation, message, uploadBytes: upload?.bytes, transport})
  }

  /** One exchange without retries; the answer is a success and its body unread. */
  async open(message: Given): Promise<IncomingMessage> {
    await this.#show(undefined, message)
    return this.#open(message)
  }

  async #open(message: Given): Promise<IncomingMessage> {
    const {readText, send} = await import('./transport.ts')
    const answer = await this.#send(message, send)
    if (isSuccess(answer)) return answer
    throw readFailure(answer.statusCode ?? 0, await readText(await this.target(), answer), answer.headers)
  }

  /** The text of a success. */
  async #exchange(message: Given): Promise<string> {
    const {server, proxy} = await this.target()
    const isPlain = server.startsWith('http://') && !proxy
    const answer = await this.#send(message, isPlain ? exchange : (await import('./transport.ts')).sendAndRead)
    if (isSuccess(answer)) return answer.text
    throw readFailure(answer.statusCode, answer.text, answer.headers)
  }

  async #send<A extends Pick<IncomingMessage, 'statusCode' | 'headers'>>(
    message: Given,
    send: (target: Target, message: Message) => Promise<A>,
  ): Promise<A> {
    const target = await this.target()
    const {timeoutMs = 30_000, userAgent, trace} = this.#parts
    const headers = {accept: 'application/json', 'user-agent': userAgent, ...message.headers}
    const startedAt = nowMs()
    trace?.(`> ${message.method} ${message.path}${target.token ? ', Authorization: Bearer ***' : ''}`)
    if (message.body) trace?.(`> ${maskText(message.body)}`)
    const answer = await send(target, {timeoutMs, ...message, headers}).catch(error => {
      trace?.(`< failed: ${(error as Error).message}`)
      throw error
    })
    if (trace) {
      const {'x-request-id': request = 'none', 'content-type': type = ''} = answer.headers
      trace(`< ${answer.statusCode} ${type}, request ${request}, ${Math.round(nowMs() - startedAt)} ms`)
    }
    const {'content-type': type = '', 'x-gpuctl-version': version} = answer.headers
    if (isSuccess(answer) && message.path.startsWith(apiPrefix) && type.startsWith('text/html')) {
      if ('destroy' in answer && typeof answer.destroy === 'function') answer.destroy()
      throw notGpuctl(answer.statusCode ?? 0)
    }
    const serverVersion = typeof version === 'string' ? version : undefined
    this.#parts.answered?.({serverVersion, method: message.method, isRefusal: !isSuccess(answer)})
    return answer
  }

  /** Server-sent events, resumed after a cut (events.ts). */
  async *events<N extends OperationName>(
    name: N,
    input: InputOf<N>,
    {signal}: CallOptions = {},
  ): AsyncGenerator<ServerEvent<OutputOf<N>>> {
    const {path} = requestParts(name, input as Record<string, unknown>)
    await this.#show(name, {method: 'GET', path, headers: {accept: 'text/event-stream'}}, 'events')
    const {followEvents} = await import('./events.ts')
    yield* followEvents<OutputOf<N>>({path, signal, client: this})
  }

  /** A byte stream as its frames. */
  async *bytes(
    name: OperationName,
    input: InputOf<'instances.logs'>,
    {signal}: CallOptions = {},
  ): AsyncGenerator<Frame> {
    const {readFrames} = await import('./bytes.ts')
    const {method, path} = requestParts(name, input)
    await this.#show(name, {method, path}, 'bytes')
    const answer = await this.#open({method, path, signal, isStream: true, headers: {accept: '*/*'}})
    yield* readFrames(await this.target(), answer)
  }

  /** A tar of the server's with what it was made of. Reading throws UnreachableError when it is cut. */
  async archive(input: InputOf<'instances.archive'>, {signal}: CallOptions = {}): Promise<RemoteArchive> {
    const {readPieces} = await import('./bytes.ts')
    const {method, path} = requestParts('instances.archive', input)
    await this.#show('instances.archive', {method, path}, 'bytes')
    const answer = await this.#open({method, path, signal, isStream: true, headers: {accept: '*/*'}})
    const stat = JSON.parse(Buffer.from(String(answer.headers['x-gpuctl-stat']), 'base64url').toString()) as PathStat
    return {stat, content: readPieces(await this.target(), answer)}
  }

  /** Bytes as they come. Reading throws UnreachableError when they are cut, or nothing comes for too long. */
  async download<N extends OperationName>(
    name: N,
    input: InputOf<N>,
    {signal}: CallOptions = {},
  ): Promise<AsyncIterable<Buffer>> {
    const {readPieces} = await import('./bytes.ts')
    const {method, path} = requestParts(name, input as Record<string, unknown>)
    const answer = await this.open({method, path, signal, headers: {accept: '*/*'}})
    return readPieces(await this.target(), answer)
  }

  /** Sends bytes to an operation that takes them. Not repeated: what is there then, the caller asks. */
  async upload<N extends OperationName>(
    name: N,
    input: InputOf<N>,
    upload: {content: Readable; bytes: number},
    {signal}: CallOptions = {},
  ): Promise<OutputOf<N>> {
    const {method, path} = requestParts(name, input as Record<string, unknown>, {isUpload: true})
    await this.#show(name, {method, path, upload})
    const answer = await this.#open({method, path, upload, signal})
    const {readText} = await import('./transport.ts')
    return readAnswer(await readText(await this.target(), answer)) as OutputOf<N>
  }

  /** A WebSocket with frames both ways. */
  async terminal<N extends OperationName>(name: N, input: InputOf<N>): Promise<Terminal> {
    const {path} = requestParts(name, input as Record<string, unknown>)
    await this.#show(name, {method: 'GET', path}, 'socket')
    const {openTerminal} = await import('./terminal.ts')
    return openTerminal({path, target: await this.target(), userAgent: this.#parts.userAgent})
  }

  async #repeat(isRepeatable: boolean, signal: AbortSignal | undefined, act: () => Promise<string>): Promise<string> {
    const startedAt = nowMs()
    for (let attempt = 0; ; attempt++) {
      try {
        return await act()
      } catch (error) {
        const budgetMs = isRepeatable ? budgetFor(error) : 0
        const ceilingMs = Math.min(retry.firstMs * 2 ** attempt, retry.ceilingMs)
        const askedMs = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0
        const waitMs = Math.max(askedMs, Math.random() * ceilingMs)
        if (nowMs() - startedAt + waitMs > budgetMs) throw error
        this.#parts.trace?.(`again in ${Math.round(waitMs)} ms: ${(error as Error).message}`)
        const {setTimeout: delay} = await import('node:timers/promises')
        await delay(waitMs, undefined, {signal})
      }
    }
  }
}

/** Where nobody listens at all a person should hear so at once; a cut or a busy server is worth a longer wait. */
function budgetFor(error: unknown): number {
  if (error instanceof ApiError) return error.status === 503 || error.status === 429 ? retry.budgetMs : 0
  // Who says how long a silence may be means it once.
  const isFinal = !(error instanceof UnreachableError) || error.code !== 'server_unreachable'
  if (isFinal) return 0
  return error.nothingSent ? retry.budgetWhenNobodyListensMs : retry.budgetMs
}

function readAnswer(text: string): object {
  if (text === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    throw notGpuctl(200)
  }
}

function isSuccess({statusCode = 0}: {statusCode?: number}): boolean {
  return statusCode >= 200 && statusCode < 300
}

/** Since the start of the program; `performance` takes a millisecond to load. */
function nowMs(): number {
  return process.uptime() * 1000
}

/** `node:crypto` takes 6 ms to load, and most commands only read. */
async function newKey(): Promise<string> {
  const {randomUUID} = await import('node:crypto')
  return randomUUID()
}
