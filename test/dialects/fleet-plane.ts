import {expect} from 'vitest'
import type {ControlServerOptions} from '../../src/main/control-server.ts'
import {type Call, controlPlane, type Reply} from '../support/control-plane.ts'
import {EventReader} from '../unit/server/event-reader.ts'

const api = '/api/v1'

/** The server, and calls as document 003 makes them. */
export async function fleetPlane(options: Partial<ControlServerOptions> = {}) {
  const server = await controlPlane(options)
  const call = (method: string, path: string, rest: Call = {}): Promise<Reply> => server.call(method, api + path, rest)
  const asAdmin = (method: string, path: string, rest: Call = {}) =>
    call(method, path, {token: server.adminToken, ...rest})

  return {
    ...server,
    server,
    call,
    asAdmin,
    /** The body of a success. */
    async ok(method: string, path: string, rest: Call = {}) {
      const reply = await asAdmin(method, path, rest)
      expect(reply.status, `${method} ${path}: ${reply.text}`).toBe(200)
      return reply.json
    },
    login: (username: string, password: string, localAddress?: string) =>
      call('POST', '/auth/login', {body: {username, password}, localAddress}),
    /** A node that came in and got its key as a script of the document does: by the code alone. */
    async scriptedNode(hostname: string) {
      const asked = (await call('POST', '/nodes/join-request', {body: {hostname}})).json
      await server.ok('nodes.approve', {node: asked.registration_code}, {token: server.adminToken})
      const {json} = await call('GET', `/nodes/status/code/${asked.registration_code}`)
      const id = Number(asked.request_id)
      const report = (body: object) => call('POST', '/stats/', {body, headers: {'x-api-key': json.api_key}})
      return {id, key: json.api_key as string, report}
    },
    stream: (path: string, headers: Record<string, string> = {authorization: `Bearer ${server.adminToken}`}) =>
      EventReader.open(Number(new URL(server.url).port), api + path, headers),
  }
}

export type FleetPlane = Awaited<ReturnType<typeof fleetPlane>>
