import type {DockerEngine} from './docker-engine.ts'
import {pieces} from './docker-engine.ts'
import {engineWords} from './docker-errors.ts'
import {JsonLineReader} from './docker-frames.ts'
import {RuntimeError} from './driver.ts'
import {loginFor, registryOf} from './registry-logins.ts'

const longestPullMs = 30 * 60_000
const longestSilenceMs = 2 * 60_000

/** Registry host and path, tag or digest. What is not in it could only be a mistake or a trick. */
const reference =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/

/** Throws `invalid` for what no engine would take as the name of an image. */
export function checkImageReference(image: string): void {
  if (image.length <= 512 && (reference.test(image) || /^sha256:[0-9a-f]{64}$/.test(image))) return
  throw new RuntimeError('invalid', `"${image.slice(0, 80)}" is not the name of an image.`)
}

interface Pull {
  onProgress: (percent: number | undefined) => void
  /** Folder of what `docker login` kept. */
  logins: string
  cut?: AbortSignal
}

/** Makes the image present. Fails with `image_missing` and the engine's words where it cannot be had. */
export async function pullImage(engine: DockerEngine, image: string, {onProgress, logins, cut}: Pull): Promise<void> {
  checkImageReference(image)
  if (await isPresent(engine, image)) return
  const doing = `Pulling ${image}`
  const controller = new AbortController()
  const stop = () => controller.abort()
  cut?.addEventListener('abort', stop, {once: true})
  const total = setTimeout(() => controller.abort(), longestPullMs)
  let silence = setTimeout(() => controller.abort(), longestSilenceMs)
  const progress = new LayerProgress()
  const login = await loginFor(image, logins)
  try {
    const query = image.includes('@') || hasTag(image) ? {fromImage: image} : {fromImage: image, tag: 'latest'}
    const request = {
      method: 'POST',
      path: '/images/create',
      query: {_query: query, _body: {}},
      login,
      limitMs: longestSilenceMs,
    } as const
    const stream = await engine.stream(doing, request, controller.signal)
    const reader = new JsonLineReader()
    for await (const piece of pieces(stream, doing, controller.signal)) {
      clearTimeout(silence)
      silence = setTimeout(() => controller.abort(), longestSilenceMs)
      for (const message of reader.read(piece)) onProgress(progress.add(message as PullMessage))
    }
    if (controller.signal.aborted) {
      throw new RuntimeError('timeout', `${doing}: no progress for ${longestSilenceMs / 60_000} minutes, or too slow.`)
    }
  } catch (error) {
    if (cut?.aborted) throw new RuntimeError('failed', `${doing} was broken off.`, {cause: error})
    if (error instanceof RuntimeError && ['unreachable', 'timeout', 'invalid'].includes(error.code)) throw error
    const why = `${words(error)}${loginHint(error, image, login !== undefined)}`
    throw new RuntimeError('image_missing', `Image ${image} is not here and cannot be pulled: ${why}`, {cause: error})
  } finally {
    cut?.removeEventListener('abort', stop)
    clearTimeout(total)
    clearTimeout(silence)
  }
  if (await isPresent(engine, image)) return
  throw new RuntimeError('image_missing', `Image ${image} was pulled and is not here.`)
}

async function isPresent(engine: DockerEngine, image: string): Promise<boolean> {
  try {
    await engine.call(`Looking for image ${image}`, docker => docker.getImage(image).inspect())
    return true
  } catch (error) {
    if (error instanceof RuntimeError && (error.code === 'image_missing' || error.code === 'no_container')) return false
    throw error
  }
}

function hasTag(image: string): boolean {
  return image.lastIndexOf(':') > image.lastIndexOf('/')
}

function words(error: unknown): string {
  return engineWords(error instanceof RuntimeError && error.cause ? error.cause : error)
}

/** Where a registry does not give it to everybody. */
function loginHint(error: unknown, image: string, hasLogin: boolean): string {
  if (!/unauthorized|authentication required|no basic auth|access denied|docker login/i.test(words(error))) return ''
  const registry = registryOf(image)
  const command = registry === 'docker.io' ? 'docker login' : `docker login ${registry}`
  const what = hasLogin ? 'What `docker login` kept on the node was refused' : 'The node has no login for it'
  return `. ${what}: run \`${command}\` there, as the user of its agent.`
}

interface PullMessage {
  id?: string
  status?: string
  error?: string
  progressDetail?: {current?: number; total?: number}
}

/** Bytes of the layers that are known so far. Never goes back, though new layers become known on the way. */
class LayerProgress {
  readonly #layers = new Map<string, {current: number; total: number}>()
  #best = 0

  add({id, error, status, progressDetail: detail}: PullMessage): number | undefined {
    if (error) throw new Error(error)
    const known = id ? this.#layers.get(id) : undefined
    if (id && status === 'Downloading' && detail?.total) {
      this.#layers.set(id, {current: detail.current ?? 0, total: detail.total})
    } else if (known && (status === 'Download complete' || status === 'Pull complete')) known.current = known.total
    if (this.#layers.size === 0) return undefined
    let current = 0
    let total = 0
    for (const layer of this.#layers.values()) {
      current += layer.current
      total += layer.total
    }
    this.#best = Math.max(this.#best, Math.floor((current / total) * 100))
    return this.#best
  }
}
