import {usageError} from '../failure.ts'

/** One end of a copy. */
export type Place =
  | {kind: 'instance'; instance: string; path: string}
  | {kind: 'local'; path: string}
  | {kind: 'stream'}

/** `NAME:PATH` is in an instance, `-` is our own input or output, all else a local path (`./a:b` for one with a colon). */
export function readPlace(text: string): Place {
  if (text === '-') return {kind: 'stream'}
  const colon = text.indexOf(':')
  const slash = text.indexOf('/')
  if (colon < 0 || (slash >= 0 && slash < colon)) return {kind: 'local', path: text}
  const [instance, path] = [text.slice(0, colon), text.slice(colon + 1)]
  if (instance === '') throw usageError(`${text}: which instance?`, 'Write it as NAME:/path.')
  if (path === '') throw usageError(`${text}: which path in it?`, `Write it as ${instance}:/path.`)
  return {kind: 'instance', instance, path: path.startsWith('/') ? path : `/${path}`}
}
