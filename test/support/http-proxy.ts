import {createServer, request} from 'node:http'
import {type AddressInfo, connect, type Socket} from 'node:net'
import {onTestFinished} from 'vitest'

interface HttpProxy {
  /** `http://127.0.0.1:PORT`. */
  url: string
  /** What came, as `CONNECT host:port` or `GET http://…`. */
  seen: string[]
}

/**
 * A forward proxy on this machine: CONNECT, and whole addresses for http. Every name leads to 127.0.0.1, so that a test may give
 * a server here a name that is not this machine's. With `login` (USER:PASSWORD) it wants one; with `refuses` it passes nothing.
 */
export async function httpProxy({login, refuses}: {login?: string; refuses?: string} = {}): Promise<HttpProxy> {
  const seen: string[] = []
  const sockets = new Set<Socket>()
  const wanted = login && `Basic ${Buffer.from(login).toString('base64')}`
  const refusal = (given: string | undefined) => refuses ?? (given === wanted ? undefined : '407 Login Required')
  const server = createServer((incoming, answer) => {
    seen.push(`${incoming.method} ${incoming.url}`)
    const {'proxy-authorization': given, ...headers} = incoming.headers
    const refused = refusal(given)
    if (refused) {
      answer.writeHead(Number(refused.slice(0, 3)), refused.slice(4), {'content-type': 'text/html'})
      return answer.end('<html>no</html>')
    }
    const {port, pathname, search} = new URL(incoming.url ?? '')
    const call = request(
      {host: '127.0.0.1', port, path: pathname + search, method: incoming.method, headers},
      found => {
        answer.writeHead(found.statusCode ?? 0, found.headers)
        found.pipe(answer)
      },
    )
    call.once('error', () => answer.destroy())
    incoming.pipe(call)
  })
  server.on('connect', ({url = '', headers}, socket: Socket) => {
    seen.push(`CONNECT ${url}`)
    socket.on('error', () => {})
    const refused = refusal(headers['proxy-authorization'])
    if (refused) return socket.end(`HTTP/1.1 ${refused}\r\ncontent-length: 0\r\n\r\n`)
    const onward = connect(Number(url.split(':').at(-1)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    sockets.add(onward.on('error', () => socket.destroy()))
    socket.once('close', () => onward.destroy())
  })
  server.on('connection', socket => sockets.add(socket))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise<void>(resolve => server.close(() => resolve()))
  })
  return {url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen}
}
