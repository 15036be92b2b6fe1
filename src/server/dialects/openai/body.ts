import type {IncomingMessage} from 'node:http'
import type {FastifyInstance, FastifyRequest} from 'fastify'
import {problem} from '../../../domain/errors.ts'
import {modelOfForm} from './form.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it came: it goes on to the runtime byte for byte. */
    rawBody: Buffer | undefined
  }
}

/**
 * Reads bodies whole, because a second runtime may need them, and hands to the routes only what they choose by: the
 * model. A form is never taken apart beyond that. Bounded by the route's limit, and for all together by a setting.
 */
export function takeBodies(scope: FastifyInstance): void {
  const {maxInferenceBytes} = scope.front.settings
  let heldBytes = 0
  /** Counts every piece until the answer is over. Throws too_busy. */
  const hold = (request: FastifyRequest, bytes: number) => {
    if (heldBytes + bytes > maxInferenceBytes) throw problem('too_busy', {what: 'large requests'})
    heldBytes += bytes
    holdings.set(request, (holdings.get(request) ?? 0) + bytes)
  }
  const holdings = new WeakMap<FastifyRequest, number>()
  const read = async (request: FastifyRequest, payload: IncomingMessage): Promise<Buffer> => {
    const {'content-encoding': coding = 'identity'} = request.headers
    if (coding !== 'identity') throw problem('media_type_unknown', {type: coding.slice(0, 64)})
    const limit = request.routeOptions.bodyLimit
    let bytes = 0
    request.rawBody = await wholeOf(payload, piece => {
      bytes += piece.length
      if (bytes > limit) throw problem('body_too_large', {limit: `${limit / 1024 / 1024} MiB`})
      hold(request, piece.length)
    })
    return request.rawBody
  }

  scope.decorateRequest('rawBody')
  scope.addHook('onRequest', async (request, reply) => {
    reply.raw.once('close', () => {
      heldBytes -= holdings.get(request) ?? 0
      holdings.delete(request)
    })
  })
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) =>
    modelOfJson(await read(request, payload)),
  )
  scope.addContentTypeParser('multipart/form-data', async (request: FastifyRequest, payload: IncomingMessage) =>
    modelOfForm(await read(request, payload), request.headers['content-type'] ?? ''),
  )
}

/** A refusal must still be answered on the socket, so the payload is left as it is, and not destroyed. */
function wholeOf(payload: IncomingMessage, check: (piece: Buffer) => void): Promise<Buffer> {
  const pieces: Buffer[] = []
  return new Promise((resolve, reject) => {
    const take = (piece: Buffer) => {
      try {
        check(piece)
        pieces.push(piece)
      } catch (error) {
        payload.off('data', take).pause()
        reject(error)
      }
    }
    payload.on('data', take)
    payload.once('end', () => resolve(Buffer.concat(pieces)))
    payload.once('error', reject)
    payload.once('close', () => {
      if (!payload.readableEnded) reject(problem('input_unreadable', {problem: 'it did not arrive whole'}))
    })
  })
}

/** Throws input_unreadable. What is no object has no model, and the route's schema says so. */
function modelOfJson(bytes: Buffer): {model?: unknown} {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', {fatal: true}).decode(bytes))
  } catch {
    throw problem('input_unreadable', {problem: 'it is not UTF-8, or its syntax is wrong'})
  }
  const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, 'model')
  return isObject ? {model: (value as {model: unknown}).model} : {}
}
