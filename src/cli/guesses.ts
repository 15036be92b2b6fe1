import {ApiError} from '../client/api-error.ts'
import type {Client} from '../client/client.ts'
import {isKind, listOperation} from './references.ts'
import {didYouMean, suggestNames, suggestWord} from './suggest.ts'

/** Longest search for a name that may have been meant. */
const searchMs = 2_000

/** What may have been meant by a flag, or by the value of one, that there is not; '' where nothing is near. */
export function guessFlag(error: Error, flags: Readonly<Record<string, {char?: string}>>): string {
  const {flags: unknown} = error as {flags?: unknown}
  if (Array.isArray(unknown)) {
    const names = Object.keys(flags)
    const guesses = unknown.flatMap(
      (typed: string) => suggestWord(typed.replace(/^-+/, '').replace(/=.*/s, ''), names) ?? [],
    )
    return didYouMean([...new Set(guesses)].map(name => `--${name}`))
  }
  const match = /^Expected (?:--[\w-]+=)?(.*) to be one of: (.*)$/m.exec(error.message)
  const [, typed = '', options = ''] = match ?? []
  const guess = match ? suggestWord(typed, options.split(', ')) : undefined
  return guess === undefined ? '' : didYouMean([guess])
}

/** Names near the one that the server does not know. Asks for the list of its kind, and says '' when that fails. */
export async function guessName(error: Error, client: Client | undefined): Promise<string> {
  if (!(error instanceof ApiError) || error.code !== 'not_found' || !client) return ''
  const {kind, name} = error.details
  if (typeof kind !== 'string' || typeof name !== 'string' || !isKind(kind)) return ''
  try {
    const signal = AbortSignal.timeout(searchMs)
    const rows = (await client.call(listOperation(kind), {}, {signal})) as {name?: string; username?: string}[]
    return didYouMean(suggestNames(name, rows.map(row => row.name ?? row.username ?? '').filter(Boolean)))
  } catch {
    return ''
  }
}
