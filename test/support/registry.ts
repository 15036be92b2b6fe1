import {createHash, randomBytes} from 'node:crypto'
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http'
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
  /** Another one, that may only read. */
  reader?: string,
): Promise<OpenRegistry> {
  let image = await imageOfNoise()
  let fetches = 0
  const kept = keptImages()
  const server = createServer((request, response) => {
    const {url = ''} = request
    const isBy = (known: string | undefined) =>
      known && request.headers.authorization === `Basic ${Buffer.from(known).toString('base64')}`
    const refuse = (status: number, code: string, message: string) => {
      response.writeHead(status, {'www-authenticate': 'Basic realm="images"', 'content-type': 'application/json'})
      response.end(JSON.stringify({errors: [{code, message, detail: url}]})) // without a detail an engine tries for a minute
    }
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (login && !isBy(login) && !isBy(reader)) return refuse(401, 'UNAUTHORIZED', 'authentication required')
    if (login && !isBy(login) && !isRead) return refuse(403, 'DENIED', 'requested access to the resource is denied')
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
    if (kept.answer(request, response)) return
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

/** What is pushed to it, and given out again (OCI distribution specification: pushing a blob in chunks). */
function keptImages() {
  const blobs = new Map<string, Buffer>()
  const uploads = new Map<string, Buffer>()
  const manifests = new Map<string, {type: string; body: Buffer}>()

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', query] = (request.url ?? '').split('?')
    const [name = '', key = ''] = path.split(/\/(?:manifests|blobs\/uploads)\//)
    const body = await buffer(request)
    const end = (status: number, headers: Record<string, string> = {}) => void response.writeHead(status, headers).end()
    if (path.includes('/manifests/')) {
      const manifest = {type: request.headers['content-type'] ?? '', body}
      for (const one of [key, digestOf(body)]) manifests.set(`${name}/manifests/${one}`, manifest)
      return end(201, {'docker-content-digest': digestOf(body)})
    }
    const upload = key || randomBytes(8).toString('hex')
    const bytes = Buffer.concat([uploads.get(upload) ?? Buffer.alloc(0), body])
    uploads.set(upload, bytes)
    const digest = request.method === 'PUT' ? new URLSearchParams(query).get('digest') : null
    if (!digest)
      return end(202, {location: `${name}/blobs/uploads/${upload}`, range: `0-${Math.max(0, bytes.length - 1)}`})
    uploads.delete(upload)
    if (digest !== digestOf(bytes)) return end(400)
    blobs.set(digest, bytes)
    end(201, {'docker-content-digest': digest})
  }

  return {
    /** Whether it concerns what was pushed, or is. */
    answer(request: IncomingMessage, response: ServerResponse): boolean {
      const {url = '', method} = request
      if (method !== 'GET' && method !== 'HEAD') {
        void take(request, response)
        return true
      }
      const digest = url.split('/').at(-1) ?? ''
      const blob = url.includes('/blobs/') ? blobs.get(digest) : undefined
      const found = blob ? {type: 'application/octet-stream', body: blob} : manifests.get(url)
      if (!found) return false
      const {type, body} = found
      const headers = {'content-type': type, 'content-length': body.length, 'docker-content-digest': digestOf(body)}
      response.writeHead(200, headers).end(method === 'HEAD' ? undefined : body)
      return true
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
