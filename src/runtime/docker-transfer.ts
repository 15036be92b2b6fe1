import {type DockerEngine, pieces, type StreamRequest} from './docker-engine.ts'
import {engineWords} from './docker-errors.ts'
import {JsonLineReader} from './docker-frames.ts'
import {RuntimeError, type RuntimeErrorCode} from './driver.ts'
import {registryOf} from './registry-logins.ts'

const longestTransferMs = 30 * 60_000
const longestSilenceMs = 2 * 60_000

/** A line of what the engine tells on the way. */
export interface TransferMessage {
  id?: string
  status?: string
  error?: string
  progressDetail?: {current?: number; total?: number}
  aux?: {Digest?: string}
}

interface Transfer {
  doing: string
  image: string
  request: Omit<StreamRequest, 'method' | 'limitMs'>
  /** What a refusal of the engine or the registry means; its words follow. */
  refused: {code: RuntimeErrorCode; words: string}
  cut?: AbortSignal
}

/** A pull or a push: 30 minutes at most, and two without a word. */
export async function transfer(
  engine: DockerEngine,
  {doing, image, request, refused, cut}: Transfer,
  onMessage: (message: TransferMessage) => void,
): Promise<void> {
  const controller = new AbortController()
  const stop = () => controller.abort()
  if (cut?.aborted) stop()
  cut?.addEventListener('abort', stop, {once: true})
  const total = setTimeout(stop, longestTransferMs)
  let silence = setTimeout(stop, longestSilenceMs)
  try {
    const asked = {...request, method: 'POST', limitMs: longestSilenceMs} as const
    const stream = await engine.stream(doing, asked, controller.signal)
    const reader = new JsonLineReader()
    for await (const piece of pieces(stream, doing, controller.signal)) {
      clearTimeout(silence)
      silence = setTimeout(stop, longestSilenceMs)
      for (const message of reader.read(piece) as TransferMessage[]) {
        if (message.error) throw new Error(message.error)
        onMessage(message)
      }
    }
    if (controller.signal.aborted) {
      throw new RuntimeError('timeout', `${doing}: no progress for ${longestSilenceMs / 60_000} minutes, or too slow.`)
    }
  } catch (error) {
    if (cut?.aborted) throw new RuntimeError('failed', `${doing} was broken off.`, {cause: error})
    if (error instanceof RuntimeError && ['unreachable', 'timeout', 'invalid'].includes(error.code)) throw error
    const hasLogin = Object.keys(request.login ?? {}).length > 0
    const why = `${words(error)}${loginHint(error, image, hasLogin)}`
    throw new RuntimeError(refused.code, `${refused.words}: ${why}`, {cause: error})
  } finally {
    cut?.removeEventListener('abort', stop)
    clearTimeout(total)
    clearTimeout(silence)
  }
}

function words(error: unknown): string {
  return engineWords(error instanceof RuntimeError && error.cause ? error.cause : error)
}

const loginWords = /unauthorized|authentication required|no basic auth|access denied|^denied\b|docker login/i

/** Where a registry does not let everybody. */
function loginHint(error: unknown, image: string, hasLogin: boolean): string {
  if (!loginWords.test(words(error))) return ''
  const registry = registryOf(image)
  const command = registry === 'docker.io' ? 'docker login' : `docker login ${registry}`
  const what = hasLogin ? 'What `docker login` kept on the node was refused' : 'The node has no login for it'
  return `. ${what}: run \`${command}\` there, as the user of its agent.`
}
