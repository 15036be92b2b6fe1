import type {FastifyRequest} from 'fastify'
import {Type} from 'typebox'
import {problem} from '../../../domain/errors.ts'
import {below, call, idOf} from './call.ts'
import {instanceOf} from './instances.ts'
import {ById} from './wire.ts'

/** The jump host listens on all addresses of its machine. */
const everywhere = ['0.0.0.0', '::']

/** Section "SSH 跳板机" of document 002. */
export const sshRoutes = [
  call({
    method: 'GET',
    paths: below(['instance'], 'getSSHCommand'),
    access: 'viewer',
    summary:
      'How to reach an instance by SSH: its owner’s login at the jump host, and by what to know that host again.',
    said: '获取成功',
    query: ById,
    data: Type.Object({
      command: Type.String(),
      fingerprint: Type.String({description: 'SHA256 of the host key, as ssh shows it'}),
    }),
    async handle({query, asker, services, request}) {
      const {owner} = await instanceOf(services, idOf(query), asker)
      const door = services.server.ssh()
      if (!door) throw problem('ssh_off', {})
      const host = everywhere.includes(door.host) ? nameOfServer(request) : door.host
      return {command: `ssh -p ${door.port} ${owner}@${host}`, fingerprint: door.fingerprint}
    },
  }),
]

/** The name under which the caller has reached this server; it was checked to be one of ours. */
function nameOfServer({headers}: FastifyRequest): string {
  return (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
}
