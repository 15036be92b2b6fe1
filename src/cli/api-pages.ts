import type {IncomingMessage} from 'node:http'
import {ApiError} from '../client/api-error.ts'
import type {Client} from '../client/client.ts'
import {readText} from '../client/transport.ts'
import {withQuery} from './api-input.ts'
import {exitCode} from './exit-codes.ts'
import {Failure} from './failure.ts'

/** The most that the server gives at once, and the most pages that are asked for. */
const limits = {pageSize: 1000, pages: 1000}

export interface ApiPage {
  answer: IncomingMessage
  text: string
  value: unknown
}

/**
 * All pages of a list, by the server's `limit` and `offset`. What does not page comes as its one answer; `limit` of the
 * path is the size of a page.
 */
export async function* apiPages(client: Client, path: string): AsyncGenerator<ApiPage> {
  const given = new URLSearchParams(path.split('?')[1] ?? '')
  const size = Number(given.get('limit') ?? limits.pageSize)
  const limit = given.has('limit') ? {} : {limit: size}
  let offset = Number(given.get('offset') ?? 0)
  const base = withoutOffset(path, given)
  for (let count = 1; count <= limits.pages; count++) {
    const asked = withQuery(base, {...limit, offset})
    const page = await ask(client, asked).catch(error => {
      if (count === 1 && isUnpaged(error)) return ask(client, path)
      throw error
    })
    yield page
    if (!Array.isArray(page.value) || page.value.length < size) return
    offset += page.value.length
  }
  const hint = 'Ask for a part of them: --field offset=1000000.'
  throw new Failure('too_many_pages', `There are more than ${limits.pages} pages.`, {hint, exitCode: exitCode.failure})
}

async function ask(client: Client, path: string): Promise<ApiPage> {
  const answer = await client.open({method: 'GET', path})
  const text = await readText(await client.target(), answer)
  return {answer, text, value: text === '' ? null : JSON.parse(text)}
}

function withoutOffset(path: string, given: URLSearchParams): string {
  if (!given.has('offset')) return path
  const rest = new URLSearchParams(given)
  rest.delete('offset')
  return withQuery(path.split('?')[0] as string, Object.fromEntries(rest))
}

/** The operation knows no `limit` or no `offset`: it gives all at once. */
function isUnpaged(error: unknown): boolean {
  const {code, details} = error instanceof ApiError ? error : {code: '', details: undefined}
  return code === 'input_invalid' && (details?.field === 'offset' || details?.field === 'limit')
}
