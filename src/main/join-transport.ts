import type {JoinTransport} from '../agent/join.ts'
import {apiPrefix} from '../contract/routes.ts'

/** Calls to a server before there is a link, by ky: two quick retries of a GET, 15 s for each try. */
export async function joinTransport(server: string, signal: AbortSignal): Promise<JoinTransport> {
  const {default: ky} = await import('ky')
  const client = ky.create({
    prefixUrl: `${server.replace(/\/$/, '')}${apiPrefix}`,
    timeout: 15_000,
    retry: {limit: 2, methods: ['get'], maxRetryAfter: 30_000},
    throwHttpErrors: false,
    redirect: 'error',
    signal,
  })
  return async (method, path, {body, headers}) => {
    const answer = await client(path.replace(/^\//, ''), {method, json: body, headers})
    const text = await answer.text()
    try {
      return {status: answer.status, body: JSON.parse(text)}
    } catch {
      return {status: answer.status, body: {}}
    }
  }
}
