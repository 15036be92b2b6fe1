import {readFile} from 'node:fs/promises'
import {usageError} from './failure.ts'
import {readStdin} from './prompt.ts'

/** `-F KEY=VALUE`: JSON where it is JSON, of `@file` what the file holds (`@-` standard input), else text. */
export async function readField(pair: string): Promise<[string, unknown]> {
  const [key, text] = splitPair(pair)
  if (text.startsWith('@')) return [key, await readFileOrStdin(text.slice(1))]
  try {
    return [key, JSON.parse(text)]
  } catch {
    return [key, text]
  }
}

/** `-f KEY=VALUE`: always text. */
export function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=')
  if (at < 1) throw usageError(`${pair} is not KEY=VALUE.`)
  return [pair.slice(0, at), pair.slice(at + 1)]
}

export async function readBody(path: string | undefined, fields: object): Promise<string | undefined> {
  if (path !== undefined) return readFileOrStdin(path)
  return Object.keys(fields).length > 0 ? JSON.stringify(fields) : undefined
}

/** The path with these behind its own query. */
export function withQuery(path: string, fields: Record<string, unknown>): string {
  if (Object.keys(fields).length === 0) return path
  const query = new URLSearchParams(
    Object.entries(fields).map(([key, value]): [string, string] => [key, String(value)]),
  )
  return `${path}${path.includes('?') ? '&' : '?'}${query}`
}

function readFileOrStdin(path: string): Promise<string> {
  if (path === '-') return readStdin()
  return readFile(path, 'utf8').catch((error: Error) => {
    throw usageError(
      `The file ${path} cannot be read: ${error.message}`,
      'Give one that is there, or - for standard input.',
    )
  })
}
