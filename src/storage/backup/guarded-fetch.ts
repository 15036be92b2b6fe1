import {type LookupAddress, type LookupAllOptions, lookup} from 'node:dns'
import {isIP, type LookupFunction} from 'node:net'
import {Agent, type RequestInit, fetch as send} from 'undici'
import {isNeverDialled} from '../../platform/dial-guard.ts'
import {StorageError} from '../driver.ts'

/** As `lookup` of node:dns. */
type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void

/**
 * A node must not be made to read what its own network keeps for it alone (security T6): each dial goes to the very address
 * that was looked at, so that a name which points elsewhere the next time gains nothing. No redirect is followed.
 */
export function guardedFetch(resolve: Resolve = lookup): typeof fetch {
  const dispatcher = new Agent({connect: {lookup: guarded(resolve)}})
  return async (input, init = {}) => {
    const {hostname} = new URL(String(input)) // in its one spelling, whatever was written
    const literal = hostname.replace(/^\[|\]$/g, '')
    if (isIP(literal) && isNeverDialled(literal)) throw refusal(hostname, literal)
    // The length is counted anew from the body; given twice it is refused.
    const {'content-length': _, ...headers} = Object.fromEntries(new Headers(init.headers))
    const answer = await send(String(input), {...(init as RequestInit), headers, redirect: 'error', dispatcher})
    return answer as unknown as Response
  }
}

function guarded(resolve: Resolve): LookupFunction {
  return (hostname, options, done) => {
    resolve(hostname, {...options, all: true}, (error, found) => {
      const bad = found?.find(({address}) => isNeverDialled(address))
      const [first] = found ?? []
      if (error || bad || !first) done(error ?? refusal(hostname, bad?.address ?? 'no address'), '')
      else if (options.all) done(null, found)
      else done(null, first.address, first.family)
    })
  }
}

const failures: readonly (readonly [RegExp, string])[] = [
  [/^ECONNREFUSED$/, 'nobody listens there.'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'there is no host of this name.'],
  [/TIMEDOUT$|TIMEOUT$|^E(HOST|NET)UNREACH$/, 'it does not answer.'],
  [/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/, 'the connection broke.'],
  [/CERT|VERIFY/, 'its certificate is not trusted.'],
  [/SSL|TLS|EPROTO/, 'it speaks no TLS; perhaps http:// is right.'],
]

/** Why no answer came, by the code that stands somewhere within the error; else its innermost words. */
export function whyNoAnswer(error: Error): string {
  let last = error
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    const {code} = inner as NodeJS.ErrnoException
    const words = failures.find(([codes]) => codes.test(String(code)))?.[1]
    if (words) return words
    last = inner
  }
  return last.message.slice(0, 200)
}

function refusal(hostname: string, address: string): StorageError {
  return new StorageError('invalid', `${hostname} (${address}) is an address that is never dialled.`)
}
