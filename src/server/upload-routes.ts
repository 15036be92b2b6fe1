import type {Readable} from 'node:stream'
import type {FastifyInstance, FastifyRequest} from 'fastify'
import type {InputOf, OutputOf} from '../contract/contract.ts'
import type {Caller} from '../domain/caller.ts'
import {problem} from '../domain/errors.ts'
import type {Services} from '../domain/services/services.ts'

export type UploadOperation = 'osImages.upload'

/** A scope whose routes take bytes as they come, and nothing else. */
export async function uploadScope(app: FastifyInstance, add: (scope: FastifyInstance) => void): Promise<void> {
  await app.register(async scope => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('application/octet-stream', async (_: FastifyRequest, payload: Readable) => payload)
    add(scope)
  })
}

/** Passes the body on no faster than it is written. A body that is cut leaves what came, and the caller goes on from there. */
export async function takeUpload(
  input: InputOf<UploadOperation>,
  request: FastifyRequest,
  {osImages}: Services,
): Promise<OutputOf<UploadOperation>> {
  const content = request.body as Readable | undefined
  if (!content) {
    const fix = 'Send the bytes as application/octet-stream.'
    throw problem('input_invalid', {field: 'body', problem: 'is missing', fix})
  }
  // Who stops reading early wants to say why: the connection stays for the answer.
  const pieces = content.iterator({destroyOnReturn: false})
  return osImages.upload(input, pieces, request.asker as Caller)
}
