import type {FastifyRequest} from 'fastify'
import {route} from '../../dialect.ts'
import {Login, LoginReply, StatsReply, StatsReport} from './wire.ts'

/** As in the system behind the document: 30 minutes, and 5 calls a minute from one address. */
const loginRules = {ttlSeconds: 30 * 60, callsPerMinute: 5}

/** How people come in, and how nodes report (wire.md 4.1, routes of the system behind the document). */
export const entryRoutes = [
  route({
    method: 'POST',
    path: '/api/v1/auth/login',
    access: 'public',
    summary: 'Log in for 30 minutes.',
    body: Login,
    output: LoginReply,
    handle: async ({body, asker: {address, requestId}, services}) => {
      const {token} = await services.auth.login(body, {address, requestId}, loginRules)
      return {access_token: token, token_type: 'bearer'}
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/stats',
    access: 'node',
    credential: nodeKey,
    summary: 'A node reports its load.',
    body: StatsReport,
    output: StatsReply,
    handle: async ({body, asker, services}) => {
      const {cpu_usage: cpuPercent, disk_usage: diskPercent, active_backups: activeBackups} = body
      await services.nodes.reportLoad(asker.id, {cpuPercent, diskPercent, activeBackups})
      return {status: 'recorded', node: asker.name}
    },
  }),
]

function nodeKey({headers}: FastifyRequest): string | undefined {
  const key = headers['x-api-key']
  return typeof key === 'string' && key !== '' ? key : undefined
}
