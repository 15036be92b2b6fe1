import {Agent, type ClientRequestArgs, type IncomingHttpHeaders} from 'node:http'
import {connect, isIP, type Socket} from 'node:net'
import type {ConnectionOptions} from 'node:tls'

/** Most bytes of a proxy's answer to CONNECT. */
const maxHeadBytes = 64 * 1024
const connectWithinMs = 30_000

/** Node's agent, whose connections lead through a proxy. */
export async function proxyAgent(proxy: URL, server: URL, kind: 'forward' | 'tunnel'): Promise<Agent> {
  const isTls = /^(https|wss):$/.test(server.protocol)
  const agent = isTls ? new (await import('node:https')).Agent() : new Agent()
  const tls = isTls ? await import('node:tls') : undefined
  const open = async (options: ClientRequestArgs): Promise<Socket> => {
    if (kind === 'forward') return dial(proxy)
    const socket = await openTunnel(proxy, server)
    if (!tls) return socket
    return tls.connect({...(options as ConnectionOptions), ALPNProtocols: ['http/1.1'], path: undefined, socket})
  }
  agent.createConnection = (options, callback) => {
    open(options).then(
      socket => callback?.(null, socket),
      error => callback?.(error, undefined as unknown as Socket),
    )
    return undefined as unknown as Socket // the callback gets it
  }
  return agent
}

/** A connection to the server through CONNECT. Throws ProxyFailure, which names the proxy without its password. */
export async function openTunnel(proxy: URL, server: URL): Promise<Socket> {
  const socket = await dial(proxy)
  const port = server.port || (/^(https|wss):$/.test(server.protocol) ? '443' : '80')
  const at = `${server.hostname}:${port}`
  const lines = [`CONNECT ${at} HTTP/1.1`, `Host: ${at}`]
  for (const [name, value] of Object.entries(credentialsFor(proxy))) lines.push(`${name}: ${value}`)
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  const status = await readStatus(socket, proxy)
  if (/^HTTP\/1\.[01] 2\d\d\b/.test(status)) return socket
  socket.destroy()
  throw refused(proxy, status.replace(/^HTTP\/\S+ /, ''))
}

/** What the answer says when the proxy gave it and not the server. */
export function refusalOf(
  proxy: URL,
  {
    statusCode = 0,
    statusMessage = '',
    headers,
  }: {statusCode?: number; statusMessage?: string; headers: IncomingHttpHeaders},
): Error | undefined {
  const isServers = 'x-gpuctl-version' in headers || headers['content-type']?.startsWith('application/json')
  const isRefusal = statusCode === 407 || (statusCode >= 502 && statusCode <= 504 && !isServers)
  return isRefusal ? refused(proxy, `${statusCode} ${statusMessage}`) : undefined
}

/** User and password of the variable, in the header that is for the proxy alone. */
export function credentialsFor({username, password}: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const both = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return {'proxy-authorization': `Basic ${Buffer.from(both).toString('base64')}`}
}

async function dial(proxy: URL): Promise<Socket> {
  const isTls = proxy.protocol === 'https:'
  const host = proxy.hostname.replace(/^\[|\]$/g, '')
  const at = {host, port: Number(proxy.port) || (isTls ? 443 : 80)}
  const servername = isIP(host) === 0 ? host : undefined
  const socket = isTls ? (await import('node:tls')).connect({...at, servername}) : connect(at)
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      socket.destroy()
      const why = error.code === 'ECONNREFUSED' ? 'nothing listens there' : error.message
      reject(failed(proxy, `cannot be reached: ${why}`))
    }
    socket.once('error', fail)
    socket.setTimeout(connectWithinMs, () => fail(new Error('no answer in time')))
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      socket.removeListener('error', fail)
      socket.removeAllListeners('timeout').setTimeout(0)
      resolve(socket)
    })
  })
}

/** The first line of the answer to CONNECT. Nothing follows its head yet: in HTTP and TLS the client speaks first. */
function readStatus(socket: Socket, proxy: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0)
    const done = () => {
      socket.removeListener('data', take).removeListener('error', fail).removeListener('end', cut)
      socket.removeAllListeners('timeout').setTimeout(0)
    }
    const fail = (error: Error) => {
      done()
      socket.once('error', () => {}).destroy()
      reject(failed(proxy, `does not answer as a proxy does: ${error.message}`))
    }
    const cut = () => fail(new Error('the connection was cut'))
    const take = (piece: Buffer) => {
      head = Buffer.concat([head, piece])
      const end = head.indexOf('\r\n\r\n')
      if (end < 0 && head.length <= maxHeadBytes) return
      if (end < 0) return fail(new Error('its answer is too long'))
      done()
      resolve(head.toString('latin1', 0, head.indexOf('\r\n')))
    }
    socket.on('data', take).once('error', fail).once('end', cut)
    socket.setTimeout(connectWithinMs, () => fail(new Error('no answer in time')))
  })
}

function refused(proxy: URL, status: string): Error {
  return failed(
    proxy,
    `refused: ${status
      .replace(/[^ -~]/g, '')
      .trim()
      .slice(0, 100)}`,
  )
}

function failed({protocol, host}: URL, what: string): Error {
  return Object.assign(new Error(`the proxy ${protocol}//${host} ${what}`), {code: 'PROXY_FAILED'})
}
