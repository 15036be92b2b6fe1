import type {DockerEngine} from './docker-engine.ts'
import {inspectImage} from './docker-image-calls.ts'
import {type TransferMessage, transfer} from './docker-transfer.ts'
import {RuntimeError} from './driver.ts'
import {loginFor} from './registry-logins.ts'

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
  if (await inspectImage(engine, image)) return
  const progress = new LayerProgress()
  const query = image.includes('@') || hasTag(image) ? {fromImage: image} : {fromImage: image, tag: 'latest'}
  const login = await loginFor(image, logins)
  const request = {path: '/images/create', query: {_query: query, _body: {}}, login}
  const refused = {code: 'image_missing', words: `Image ${image} is not here and cannot be pulled`} as const
  await transfer(engine, {doing: `Pulling ${image}`, image, request, refused, cut}, message =>
    onProgress(progress.add(message)),
  )
  if (await inspectImage(engine, image)) return
  throw new RuntimeError('image_missing', `Image ${image} was pulled and is not here.`)
}

export function hasTag(image: string): boolean {
  return image.lastIndexOf(':') > image.lastIndexOf('/')
}

/** Bytes of the layers that are known so far. Never goes back, though new layers become known on the way. */
class LayerProgress {
  readonly #layers = new Map<string, {current: number; total: number}>()
  #best = 0

  add({id, status, progressDetail: detail}: TransferMessage): number | undefined {
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
