import {Agent as HttpAgent} from 'node:http'
import {Agent as HttpsAgent} from 'node:https'
import type {Readable} from 'node:stream'
import {inspect} from 'node:util'
import Docker from 'dockerode'
import {toRuntimeError} from './docker-errors.ts'
import {RuntimeError} from './driver.ts'
import type {RegistryLogin} from './registry-logins.ts'

/** Where the engine listens. TCP needs CA, certificate and key (PEM) unless it is on loopback (security T21). */
export type DockerAddress =
  | {socketPath: string}
  | {host: string; port: number; ca?: string; cert?: string; key?: string}

/** How long the engine may take to answer. Streams have a deadline for their beginning only. */
export const deadlineMs = {ping: 2_000, call: 10_000, create: 60_000} as const

/** A Docker client whose every call has a deadline and fails with RuntimeError. */
export class DockerEngine {
  readonly #docker: Docker
  readonly #agent: HttpAgent
  readonly socketPath: string | undefined

  constructor(address: DockerAddress) {
    this.socketPath = 'socketPath' in address ? address.socketPath : undefined
    const [options, agent] = clientOptions(address)
    // For each call the client formats its options for a log, also where nobody reads it: the agent, and with it every
    // open socket and all that hangs on it. With 200 execs that took a minute.
    this.#agent = Object.assign(agent, {[inspect.custom]: () => 'Agent'})
    // host: undefined, since the client would let DOCKER_HOST win over a socket path
    this.#docker = new Docker({host: undefined, pathPrefix: '/', ...options, agent} as Docker.DockerOptions)
  }

  /** Runs `work`; the deadline covers connecting, the answer and its body. */
  async call<T>(
    doing: string,
    work: (docker: Docker, signal: AbortSignal) => Promise<T>,
    limitMs: number = deadlineMs.call,
  ): Promise<T> {
    const controller = new AbortController()
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new RuntimeError('timeout', `${doing}: the Docker Engine did not answer within ${limitMs / 1000} s.`))
        controller.abort()
      }, limitMs)
    })
    try {
      // A race, since the client does not notice every way in which an answer can break off.
      return await Promise.race([work(this.#docker, controller.signal), deadline])
    } catch (error) {
      throw toRuntimeError(error, doing)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Begins an answer that is read as it comes. It ends early, without an error, when `signal` fires. */
  async stream(
    doing: string,
    {method = 'GET', path, query = {}, login, limitMs = deadlineMs.call}: StreamRequest,
    signal: AbortSignal,
  ): Promise<Readable> {
    if (signal.aborted) throw new RuntimeError('failed', `${doing}: aborted.`)
    const controller = new AbortController()
    const abort = () => controller.abort()
    signal.addEventListener('abort', abort, {once: true})
    const open = (docker: Docker) =>
      new Promise<Readable>((resolve, reject) => {
        const statusCodes = {200: true, 404: 'not found', 409: 'conflict', 500: 'server error'}
        const request = {
          path: `${path}?`,
          method,
          options: query,
          isStream: true,
          ...(login ? {authconfig: login} : {}),
          abortSignal: controller.signal,
          statusCodes,
        }
        docker.modem.dial(request as never, (error, answer) => (error ? reject(error) : resolve(answer as Readable)))
      })
    try {
      const stream = await this.call(doing, open, limitMs)
      stream.on('close', () => signal.removeEventListener('abort', abort))
      return stream
    } catch (error) {
      signal.removeEventListener('abort', abort)
      abort()
      throw error
    }
  }

  /** Sends a body as it comes, however long that takes, and resolves with the engine's answer to the whole. */
  async upload(doing: string, {method = 'PUT', path, query}: UploadRequest, content: Readable): Promise<void> {
    const broken = new AbortController()
    const cut = new Promise<never>((_, reject) => {
      content.once('error', error => {
        broken.abort()
        reject(error)
      })
    })
    const put = new Promise<void>((resolve, reject) => {
      const request = {
        path: `${path}?`,
        method,
        options: query,
        file: content,
        abortSignal: broken.signal,
        statusCodes: {200: true, 400: 'bad request', 403: 'forbidden', 404: 'not found', 500: 'server error'},
      }
      this.#docker.modem.dial(request as never, error => (error ? reject(error) : resolve()))
    })
    put.catch(() => {}) // it may lose the race
    try {
      await Promise.race([put, cut])
    } catch (error) {
      throw toRuntimeError(error, doing)
    }
  }

  close(): void {
    this.#agent.destroy()
  }
}

export interface UploadRequest extends Omit<StreamRequest, 'method' | 'login'> {
  method?: 'PUT' | 'POST'
}

export interface StreamRequest {
  method?: 'GET' | 'HEAD' | 'POST'
  path: string
  query?: Record<string, string | number | boolean | object | undefined>
  /** For the registry that the engine asks; an empty one says that there is none. */
  login?: RegistryLogin | Record<string, never>
  limitMs?: number
}

/** Reads a stream's pieces until its end; quiet when `signal` ended it, RuntimeError when the engine did. */
export async function* pieces(stream: Readable, doing: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    for await (const piece of stream) yield piece as Buffer
  } catch (error) {
    if (!signal.aborted) throw toRuntimeError(error, doing)
  } finally {
    stream.destroy()
  }
}

function clientOptions(address: DockerAddress): [Docker.DockerOptions, HttpAgent] {
  const keepAlive = {keepAlive: true, keepAliveMsecs: 30_000}
  if ('socketPath' in address) {
    return [{socketPath: address.socketPath, protocol: 'http'}, new HttpAgent(keepAlive)]
  }
  const {host, port, ca, cert, key} = address
  if (ca && cert && key) {
    const tls = {ca, cert, key, minVersion: 'TLSv1.2'} as const
    return [{host, port, ca, cert, key, protocol: 'https'}, new HttpsAgent({...keepAlive, ...tls})]
  }
  if (ca || cert || key)
    throw new RuntimeError('invalid', 'TLS to a Docker Engine needs all three: CA, certificate and key.')
  if (!/^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(host)) {
    throw new RuntimeError(
      'invalid',
      `Docker without TLS is refused for ${host}: anybody on the way could own the machine.`,
    )
  }
  return [{host, port, protocol: 'http'}, new HttpAgent(keepAlive)]
}
