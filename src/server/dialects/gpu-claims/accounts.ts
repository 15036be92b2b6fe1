import {route} from '../../dialect.ts'
import {Login, Register, Token} from './wire.ts'

/** The lifetime of this family's tokens (wire.md 5.1). */
const ttlSeconds = 3600

export const accountRoutes = [
  route({
    method: 'POST',
    path: '/api/auth/register',
    access: 'public',
    summary: 'Make an account. It begins without any GPU.',
    body: Register,
    status: 201,
    handle: async ({body, asker, services}) => {
      await services.auth.register(body, asker)
    },
  }),
  route({
    method: 'POST',
    path: '/api/auth/login',
    access: 'public',
    summary: 'Log in; the token lives for an hour.',
    body: Login,
    output: Token,
    handle: async ({body, asker, services}) => {
      const {token} = await services.auth.login(body, asker, {ttlSeconds})
      return {token}
    },
  }),
]
