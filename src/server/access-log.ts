import type {FastifyReply, FastifyRequest} from 'fastify'
import type {Logger} from 'pino'
import {addressOf} from './auth.ts'

/** Query parameters whose values may stand in a log; of all others only the name is kept (tickets, tokens, commands). */
const shownParameters = new Set(
  `after all columns finished free interval kind limit listed live offset pending phase rows since status stderr
  stdout tail timestamps tty until`.split(/\s+/),
)

/** One line for each request when it is over (of nodes only what failed, unless debugging), also for streams and for those whose caller went away. */
export function logRequest(logger: Logger, request: FastifyRequest, reply: FastifyReply): void {
  const {asker} = request
  // A fleet beats some thousand times a second: what a node does well is no news.
  const isNode = asker !== undefined && 'name' in asker
  const level = isNode && reply.raw.statusCode < 400 ? 'debug' : 'info'
  if (!logger.isLevelEnabled(level)) return
  logger[level](
    {
      requestId: request.id,
      method: request.method,
      path: withoutSecrets(request.url),
      status: reply.raw.statusCode,
      durationMs: Math.round(reply.elapsedTime),
      address: addressOf(request),
      ...(asker && 'username' in asker ? {user: asker.username} : {}),
      ...(isNode ? {node: asker.name} : {}),
      ...(reply.raw.writableFinished || reply.raw.statusCode === 101 ? {} : {cut: true}),
    },
    'request',
  )
}

/** Our own secrets, and login tokens: somebody takes one for the name of a thing, and it stands in the path. */
const secrets = /(?:gp[tjns]|sk)_[\w-]{20,}|eyJ[\w-]+\.[\w.-]+/g

/** The request's target as it may be logged. */
function withoutSecrets(asked: string): string {
  const target = asked.replace(secrets, '…')
  const [path, query] = target.split('?', 2) as [string, string | undefined]
  if (query === undefined) return path.slice(0, 256)
  const parts = [...new URLSearchParams(query)].map(([name, value]) =>
    shownParameters.has(name) ? `${name}=${value}` : `${name}=…`,
  )
  return `${path.slice(0, 256)}?${parts.join('&').slice(0, 256)}`
}
