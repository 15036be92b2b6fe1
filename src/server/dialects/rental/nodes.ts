import {Type} from 'typebox'
import {Figure} from '../../../contract/schemas/machines.ts'
import type {Node} from '../../../contract/schemas/nodes.ts'
import type {Caller} from '../../../domain/caller.ts'
import type {Services} from '../../../domain/services/services.ts'
import {below, call, idOf, idsOf, numbered, onePage} from './call.ts'
import {NodeFields, nodeFromWire} from './node-fields.ts'
import {
  ById,
  given,
  IdsInBody,
  IdsInQuery,
  identity,
  identityOf,
  isOn,
  PageQuery,
  pageOf,
  Switch,
  TextFilter,
} from './wire.ts'

const folders = ['computenode']

/** Neither `password` nor `clientKey` ever leaves the server. */
const WireNode = Type.Object({
  ...identity,
  name: Type.String(),
  region: Type.String(),
  cpu: Figure,
  memory: Figure,
  systemDisk: Figure,
  dataDisk: Figure,
  publicIp: Type.String(),
  privateIp: Type.String(),
  sshPort: Type.Integer(),
  username: Type.String(),
  gpuName: Type.String(),
  gpuCount: Type.Integer(),
  memoryCapacity: Type.Integer({description: 'GB of one card'}),
  hamiCore: Type.String(),
  dockerAddress: Type.String(),
  useTls: Type.Boolean(),
  caCert: Type.String(),
  clientCert: Type.String(),
  dockerStatus: Type.Enum(['connected', 'failed', 'unknown']),
  isListed: Type.Boolean(),
  isOnShelf: Type.Boolean(),
  remark: Type.String(),
})

function toWire(node: Node) {
  const {name, listing, declaredGpus, gpus, docker, ssh, listed, hamiCore, dockerStatus} = node
  const card = declaredGpus ?? gpus[0]
  return {
    ...identityOf(node),
    name,
    ...listing,
    // What nobody wrote down is what the machine itself says.
    cpu: listing.cpu || node.cpus,
    memory: listing.memory || Math.round(node.memoryMiB / 1024),
    sshPort: ssh?.port ?? 22,
    username: ssh?.user ?? '',
    gpuName: card?.model ?? '',
    gpuCount: declaredGpus?.count ?? gpus.length,
    memoryCapacity: Math.round((card?.memoryMiB ?? 0) / 1024),
    hamiCore,
    dockerAddress: docker?.address ?? '',
    useTls: docker?.useTls ?? true,
    caCert: docker?.ca ?? '',
    clientCert: docker?.cert ?? '',
    dockerStatus,
    isListed: listed,
    isOnShelf: listed,
  }
}

/** What a test of the engine says, and nothing of what listens there (security T21). */
const testWords = {connected: 'Docker 连接成功', auth_failed: 'TLS 认证失败', unreachable: 'Docker 无法连接'}

/** The node of this number. Throws not_found. */
export async function nodeOf({nodes}: Services, number: number, caller: Caller): Promise<Node> {
  return numbered('node', [await nodes.get({id: String(number)}, caller)], number)
}

/** Section "算力节点管理" of document 002. */
export const nodeRoutes = [
  call({
    method: 'GET',
    paths: below(folders, 'getComputeNodeList'),
    access: 'viewer',
    summary: 'List the machines.',
    said: '获取成功',
    query: Type.Object({
      ...PageQuery,
      ...{name: TextFilter, isListed: Switch, isOnShelf: Switch},
      ...{region: TextFilter, publicIp: TextFilter, privateIp: TextFilter, gpuName: TextFilter},
    }),
    data: pageOf(WireNode),
    async handle({query, asker, services}) {
      const {region = '', publicIp = '', privateIp = '', gpuName = ''} = query
      const listed = isOn(query.isListed) ?? isOn(query.isOnShelf)
      const found = await services.nodes.list(given({listed, name: query.name || undefined}), asker)
      const wire = found.filter(({admission}) => admission === 'active').map(toWire)
      const wanted = wire.filter(
        node =>
          node.region.includes(region) &&
          node.publicIp.includes(publicIp) &&
          node.privateIp.includes(privateIp) &&
          node.gpuName.includes(gpuName),
      )
      return onePage(wanted, query, node => node)
    },
  }),
  call({
    method: 'GET',
    paths: below(folders, 'findComputeNode'),
    access: 'viewer',
    summary: 'One machine.',
    said: '查询成功',
    query: ById,
    data: WireNode,
    handle: async ({query, asker, services}) => toWire(await nodeOf(services, idOf(query), asker)),
  }),
  call({
    method: 'POST',
    paths: below(folders, 'createComputeNode'),
    access: 'super_admin',
    summary: 'Add a machine whose Docker the server reaches over mutual TLS; it is recorded whether it answers or not.',
    said: '创建成功',
    body: Type.Object({
      ...NodeFields,
      ...{name: NodeFields.name, publicIp: NodeFields.publicIp, privateIp: NodeFields.privateIp},
    }),
    data: WireNode,
    async handle({body, asker, services}) {
      return toWire(await services.nodes.add({name: body.name, ...nodeFromWire(body)}, asker))
    },
  }),
  call({
    method: 'PUT',
    paths: below(folders, 'updateComputeNode'),
    access: 'super_admin',
    summary: 'Change a machine; members that are absent, and secrets that are stars, stay as they are.',
    said: '更新成功',
    query: ById,
    body: Type.Partial(Type.Object({...ById.properties, ...NodeFields})),
    data: WireNode,
    async handle({query, body, asker, services}) {
      const {id} = await nodeOf(services, idOf(body, query), asker)
      const {name} = body
      return toWire(await services.nodes.update({id, ...given({name}), ...nodeFromWire(body)}, asker))
    },
  }),
  call({
    method: 'DELETE',
    paths: below(folders, 'deleteComputeNode'),
    access: 'super_admin',
    summary: 'Forget a machine on which nothing runs.',
    said: '删除成功',
    query: ById,
    body: ById,
    data: Type.Object({}),
    async handle({query, body, asker, services}) {
      const {id} = await nodeOf(services, idOf(body, query), asker)
      await services.nodes.delete({id}, asker)
      return {}
    },
  }),
  call({
    method: 'DELETE',
    paths: below(folders, 'deleteComputeNodeByIds'),
    access: 'super_admin',
    summary: 'Forget several machines on which nothing runs.',
    said: '批量删除成功',
    query: IdsInQuery,
    body: IdsInBody,
    data: Type.Object({}),
    async handle({query, body, asker, services}) {
      const found = await Promise.all(idsOf(body, query).map(number => nodeOf(services, number, asker)))
      for (const {id} of found) await services.nodes.delete({id}, asker)
      return {}
    },
  }),
  call({
    method: 'POST',
    paths: below(folders, 'testDockerConnection', 'testConnection'),
    access: 'node_admin',
    summary: 'Ask the machine’s Docker Engine whether it answers, for 10 seconds at most.',
    said: '测试完成',
    query: ById,
    body: ById,
    data: Type.Object({status: Type.Enum(['connected', 'failed']), message: Type.String()}),
    async handle({query, body, asker, services}) {
      const {id} = await nodeOf(services, idOf(body, query), asker)
      const {status} = await services.nodes.test({id}, asker)
      return {status: status === 'connected' ? 'connected' : 'failed', message: testWords[status]}
    },
  }),
]
