import {Agent, request} from 'node:http'

export interface Answer<T> {
  status: number
  body: T
}

export interface CallOptions {
  body?: unknown
  token?: string
  headers?: Record<string, string>
  /** Address of this machine that the call comes from: limits count by address, and 127.0.0.0/8 has many. */
  from?: string
  timeoutMs?: number
}

/** Calls of the native API (or of another one, below `prefix`), over connections that stay open. */
export class Api {
  readonly #url: string
  readonly #token: string
  readonly #agent = new Agent({keepAlive: true, maxSockets: 128})

  constructor({url, token, prefix = '/gpuctl/v1'}: {url: string; token: string; prefix?: string}) {
    this.#url = `${url}${prefix}`
    this.#token = token
  }

  /** Whatever the status. Rejects when no whole answer came: then nobody knows whether the call did its work. */
  call<T>(method: string, path: string, options: CallOptions = {}): Promise<Answer<T>> {
    const {body, token = this.#token, headers, from, timeoutMs = 10_000} = options
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    return new Promise((resolve, reject) => {
      const call = request(
        `${this.#url}${path}`,
        {
          method,
          agent: from ? undefined : this.#agent,
          localAddress: from,
          timeout: timeoutMs,
          headers: {
            ...(token ? {authorization: `Bearer ${token}`} : {}),
            ...(payload ? {'content-type': 'application/json', 'content-length': payload.length} : {}),
            ...headers,
          },
        },
        answer => {
          const pieces: Buffer[] = []
          answer.on('data', (piece: Buffer) => pieces.push(piece))
          answer.once('error', reject)
          answer.once('end', () => {
            if (!answer.complete) return reject(new Error('The answer was cut.'))
            const text = Buffer.concat(pieces).toString()
            try {
              resolve({status: answer.statusCode ?? 0, body: JSON.parse(text || 'null') as T})
            } catch (error) {
              reject(error)
            }
          })
        },
      )
      call.once('timeout', () => call.destroy(new Error(`No answer in ${timeoutMs} ms.`)))
      call.once('error', reject)
      call.end(payload)
    })
  }

  /** As call, and throws unless the status is 2xx. */
  async ok<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const {status, body} = await this.call<T>(method, path, options)
    if (status < 200 || status > 299) throw new Error(`${method} ${path} answered ${status}: ${JSON.stringify(body)}`)
    return body
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** Runs `act` for 0…count−1, at most `width` at a time. */
export async function inParallel(count: number, width: number, act: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const line = async () => {
    while (next < count) await act(next++)
  }
  await Promise.all(Array.from({length: Math.min(width, count)}, line))
}
