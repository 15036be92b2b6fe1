import {createHash, randomBytes} from 'node:crypto'
import {createServer, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import {buffer} from 'node:stream/consumers'
import {gzipSync} from 'node:zlib'
import {onTestFinished} from 'vitest'
import {tarFile, tarOf} from './tar.ts'

export interface Registry {
  /** Of an image that nobody has yet. */
  image: string
  /** Sends the rest of the layer. */
  release(): void
  /** Somebody waits for it. */
  isAsked(): boolean
  /** Who waited has left. */
  isLeft(): boolean
}

/**
 * A registry on loopback with one image. Half of its layer comes at once, the rest in drops until it is released: an engine
 * that is told to stop leaves at the next drop.
 */
export async function slowRegistry(): Promise<Registry> {
  let release: (() => void) | undefined
  let isReleased = false
  let isLeft = false
  const registry = await openRegistry((layer, response) => {
    if (isReleased) return void response.end(layer)
    const half = Math.floor(layer.length / 2)
    response.write(layer.subarray(0, half))
    let sent = half
    const drops = setInterval(() => void response.write(layer.subarray(sent, ++sent)), 20)
    release = () => {
      clearInterval(drops)
      response.end(layer.subarray(sent))
    }
    response.once('close', () => {
      clearInterval(drops)
      if (!response.writableFinished) isLeft = true
    })
  })
  onTestFinished(() => registry.close())
  return {
    image: await registry.publish(),
    release() {
      isReleased = true
      release?.()
    },
    isAsked: () => release !== undefined,
    isLeft: () => isLeft,
  }
}

export interface OpenRegistry {
  /** Name of a new image of one layer. The one before it is gone. */
  publish(): Promise<string>
  /** How often its layer is being fetched at this moment. */
  fetches(): number
  close(): Promise<void>
}

/** A registry on loopback; `sendLayer` has the head of the answer behind it. */
export async function openRegistry(
  sendLayer: (layer: Buffer, response: ServerResponse) => void,
  /** `USER:PASSWORD` that it asks for. */
  login?: string,
): Promise<OpenRegistry> {
  let image = await imageOfNoise()
  let fetches = 0
  const server = createServer((request, response) => {
    const {url = ''} = request
    if (login && request.headers.authorization !== `Basic ${Buffer.from(login).toString('base64')}`) {
      response.writeHead(401, {'www-authenticate': 'Basic realm="images"', 'content-type': 'application/json'})
      return void response.end(JSON.stringify({errors: [{code: 'UNAUTHORIZED', message: 'authentication required'}]}))
    }
    const {manifest, config, layer} = image
    const send = (type: string, body: Buffer) => {
      response.writeHead(200, {
        'content-type': type,
        'content-length': body.length,
        'docker-content-digest': digestOf(body),
      })
      response.end(request.method === 'HEAD' ? undefined : body)
    }
    if (url === '/v2/') return void response.end('{}')
    if (url.includes('/manifests/')) return send(manifestType, manifest)
    if (url.endsWith(digestOf(config))) return send('application/octet-stream', config)
    if (!url.endsWith(digestOf(layer))) return void response.writeHead(404).end()
    response.writeHead(200, {'content-type': 'application/octet-stream', 'content-length': layer.length})
    fetches++
    response.once('close', () => fetches--)
    sendLayer(layer, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const {port} = server.address() as AddressInfo
  return {
    async publish() {
      image = await imageOfNoise()
      return `127.0.0.1:${port}/noise:${randomBytes(4).toString('hex')}`
    },
    fetches: () => fetches,
    close() {
      server.closeAllConnections()
      return new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
}

const docker = 'application/vnd.docker'
const manifestType = `${docker}.distribution.manifest.v2+json`

async function imageOfNoise(): Promise<Record<'manifest' | 'config' | 'layer', Buffer>> {
  const tar = await buffer(tarOf(tarFile('noise', randomBytes(4 * 1024 * 1024).toString('base64'))))
  const layer = gzipSync(tar)
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: {Cmd: ['/noise']},
      rootfs: {type: 'layers', diff_ids: [digestOf(tar)]},
    }),
  )
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: {mediaType: `${docker}.container.image.v1+json`, size: config.length, digest: digestOf(config)},
      layers: [{mediaType: `${docker}.image.rootfs.diff.tar.gzip`, size: layer.length, digest: digestOf(layer)}],
    }),
  )
  return {manifest, config, layer}
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
