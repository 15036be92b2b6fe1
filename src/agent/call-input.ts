import {PassThrough} from 'node:stream'
import type {AgentCall} from '../link/routes.ts'

/** A reader who stops early leaves the call itself open for its answer; a caller who leaves breaks it off. */
export function inputOf({stream}: AgentCall): PassThrough {
  const content = new PassThrough()
  content.on('error', () => {}) // seen by its reader
  stream.pipe(content)
  stream.once('close', () => {
    if (!stream.readableEnded) content.destroy(new Error('The caller left.'))
  })
  return content
}
