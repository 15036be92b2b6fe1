import {asksForHelp, normalise} from './argv.ts'

/**
 * What a command line will come to, found before anything else is loaded: the id of its command, `help ID` (the words of a
 * topic, or nothing, for ID), or `error`. Compiled code is kept for each of these by itself.
 */
export function useOf(argv: readonly string[], ids: readonly string[]): string {
  try {
    const known = new Set(ids)
    const [id = '', ...rest] = normalise(argv, {has: id => known.has(id), keys: () => known.keys(), get: () => ({})})
    if (id.startsWith('-')) return 'help'
    return known.has(id) && !asksForHelp(rest) ? id : `help ${id}`
  } catch {
    return 'error'
  }
}
