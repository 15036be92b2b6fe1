import {expect} from 'vitest'
import {type Call, type ControlPlane, controlPlane, type Reply} from '../support/control-plane.ts'

/** The server, and calls as document 002 makes them: `x-token`, an envelope in the answer. */
export async function rentalPlane(plane?: ControlPlane) {
  const server = plane ?? (await controlPlane())
  const call = (method: string, path: string, {token, headers, ...rest}: Call = {}): Promise<Reply> =>
    server.call(method, path, {...rest, headers: {...(token === undefined ? {} : {'x-token': token}), ...headers}})

  return {
    ...server,
    server,
    call,
    /** `data` of a success. */
    async data(method: string, path: string, rest: Call = {}) {
      const reply = await call(method, path, rest)
      expect(reply.json, `${method} ${path}`).toMatchObject({code: 0, msg: expect.any(String)})
      expect(reply.status).toBe(200)
      return reply.json.data
    },
    login: (username: string, password: string, rest: Record<string, unknown> = {}, localAddress?: string) =>
      call('POST', '/base/login', {body: {username, password, ...rest}, localAddress}),
  }
}
