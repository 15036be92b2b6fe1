import {isIP} from 'node:net'
import {problem} from '../../../domain/errors.ts'
import {route} from '../../dialect.ts'
import {nodeResponse} from './nodes.ts'
import {ByCode, ById, ByRequest, CodeApproval, JoinReply, JoinRequest, JoinStatus, NodeResponse} from './wire.ts'

/** wire.md 4.1, from the join request to the approval. */
export const joiningRoutes = [
  route({
    method: 'POST',
    path: '/api/v1/nodes/join-request',
    access: 'public',
    summary: 'A node asks to join the cluster.',
    body: JoinRequest,
    output: JoinReply,
    bodyLimitBytes: 4096,
    handle: async ({body, asker, services}) => {
      const {hostname, ip_address, system_info} = body
      const asked = await services.nodes.join(
        {hostname, claimedAddress: ip_address ?? undefined, os: system_info ?? undefined},
        asker,
      )
      return {
        request_id: String(asked.number),
        registration_code: asked.code,
        message: `Join request submitted. Give code ${asked.code} to admin.`,
        poll_secret: asked.pollSecret,
      }
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/nodes/status/code/:code',
    access: 'public',
    summary: 'A node polls for its approval, and gets its key once.',
    params: ByCode,
    output: JoinStatus,
    handle: async ({params, asker, services}) => {
      const {joinSecret: pollSecret, ...peer} = asker
      const {status, nodeKey} = await services.nodes.joinStatus({code: params.code, pollSecret, legacy: true}, peer)
      return {status, api_key: nodeKey}
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/nodes/status/:request_id',
    access: 'public',
    summary: 'The admission of a join request, never its key.',
    params: ByRequest,
    output: JoinStatus,
    handle: async ({params, asker, services}) => {
      const status = await services.nodes.requestStatus(Number(params.request_id), asker)
      return {status, api_key: null}
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/nodes/approve/:id',
    access: 'super_admin',
    summary: 'Approve a pending node by its id.',
    params: ById,
    output: NodeResponse,
    handle: async ({params, asker, services}) => {
      const {id} = await services.nodes.keptOne(params.id, asker)
      await services.nodes.approve({node: id}, asker)
      return nodeResponse(await services.nodes.keptOne(id, asker))
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/nodes/register-by-code',
    access: 'super_admin',
    summary: 'Approve a pending node by its registration code, given in the query or the body.',
    query: CodeApproval,
    body: CodeApproval,
    output: NodeResponse,
    handle: async ({query, body, asker, services}) => {
      const code = body.code ?? query.code
      if (code === undefined) {
        throw problem('input_invalid', {
          field: 'code',
          problem: 'is missing',
          fix: 'Give the code that the node shows.',
        })
      }
      const claimedAddress = body.ip_address ?? query.ip_address ?? undefined
      if (claimedAddress !== undefined && isIP(claimedAddress) === 0) {
        throw problem('input_invalid', {
          ...{field: 'ip_address', problem: 'is no IP address', place: body.ip_address ? 'body' : 'query'},
          fix: 'Give one, as 10.0.0.7, or leave it out: the node said its own.',
        })
      }
      const {id} = await services.nodes.approveCode({code, claimedAddress}, asker)
      return nodeResponse(await services.nodes.keptOne(id, asker))
    },
  }),
]
