import {Type} from 'typebox'
import type {Role} from '../../../contract/schemas/auth.ts'
import {type DialectRoute, route} from '../../dialect.ts'

const loginSeconds = 24 * 60 * 60

const User = Type.Object({
  id: Type.String(),
  username: Type.String(),
  role: Type.Enum(['admin', 'viewer']),
})

/** The family knows two roles (wire.md 6.3). */
const roleToWire = (role: Role) => (role === 'super_admin' ? ('admin' as const) : ('viewer' as const))

export const accountRoutes: DialectRoute[] = [
  route({
    method: 'POST',
    path: '/v0/auth/login',
    access: 'public',
    summary: 'Log in; the token lives 24 hours.',
    body: Type.Object({
      username: Type.String({minLength: 1, maxLength: 256}),
      password: Type.String({minLength: 1, maxLength: 256}),
    }),
    output: Type.Object({token: Type.String(), expires_in: Type.Integer(), user: User}),
    handle: async ({body, asker, services}) => {
      const {token, user} = await services.auth.login(body, asker, {ttlSeconds: loginSeconds})
      const {id, username, role} = user
      return {token, expires_in: loginSeconds, user: {id, username, role: roleToWire(role)}}
    },
  }),
  route({
    method: 'GET',
    path: '/v0/auth/me',
    access: 'viewer',
    summary: 'Who asks.',
    output: Type.Object({...User.properties, user_id: Type.String()}),
    handle: async ({asker: {id, username, role}}) => ({id, user_id: id, username, role: roleToWire(role)}),
  }),
  route({
    method: 'POST',
    path: '/v0/auth/logout',
    access: 'viewer',
    summary: 'End this login.',
    status: 204,
    handle: async ({asker, services}) => {
      await services.auth.logout({}, asker)
    },
  }),
]
