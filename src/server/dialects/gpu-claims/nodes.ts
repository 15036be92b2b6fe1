import {Type} from 'typebox'
import {AgentMetrics} from '../../../contract/schemas/nodes.ts'
import {route} from '../../dialect.ts'
import {ById, GpuNode, nodeToWire, RegisteredNode, RegisterNode} from './wire.ts'

/** Our own join tokens begin so. */
const joinTokenMark = 'gpj_'
const pong = Type.Object({message: Type.String()})

export const nodeRoutes = [
  route({
    method: 'POST',
    path: '/api/nodes/register',
    access: 'public',
    summary: 'Register a node. It gets no work until an administrator approves it.',
    body: RegisterNode,
    bodyLimitBytes: 4096,
    output: RegisteredNode,
    status: 201,
    handle: async ({body, asker, services}) => {
      const {hostname, machine_id: fingerprint, bootstrap_token: token} = body
      const joinToken = token?.startsWith(joinTokenMark) ? token : undefined
      const {id, number, nodeKey} = await services.nodes.register({hostname, fingerprint, joinToken}, asker)
      const message = 'The node is registered and waits for the approval of an administrator.'
      return {id, node_id: number, node_token: nodeKey, message, timestamp: new Date().toISOString()}
    },
  }),
  route({
    method: 'GET',
    path: '/api/nodes/ping',
    access: 'viewer',
    summary: 'Whether the token is good.',
    output: pong,
    handle: async () => ({message: 'pong'}),
  }),
  route({
    method: 'GET',
    path: '/api/admin/ping',
    access: 'super_admin',
    summary: 'Whether the token is that of an administrator.',
    output: pong,
    handle: async () => ({message: 'pong'}),
  }),
  route({
    method: 'GET',
    path: '/api/nodes',
    access: 'viewer',
    summary: 'List the nodes.',
    output: Type.Array(GpuNode),
    handle: async ({asker, services}) => (await services.nodes.list({}, asker)).map(nodeToWire),
  }),
  route({
    method: 'GET',
    path: '/api/nodes/:id/status',
    access: 'viewer',
    summary: 'What the agent of a node measures, as the agent says it.',
    params: ById,
    output: AgentMetrics,
    handle: ({params, asker, services}) => services.nodes.metrics(params, asker),
  }),
]
