import type {Paint} from './paint.ts'

/** Words that mean good, waiting or bad have a colour; they stay words. */
export function paintWord(word: string, paint: Paint): string {
  if (/^(online|running|completed|free|ok)/i.test(word)) return paint.good(word)
  if (/^(failed|offline|blocked|unknown|unavailable)/i.test(word)) return paint.bad(word)
  return /^(pending|scheduled|creating|joining|stale|stopping|deleting|cordoned)/i.test(word)
    ? paint.waiting(word)
    : word
}
