import {Type} from 'typebox'
import {Name} from '../../../contract/schemas/common.ts'
import type {Instance} from '../../../contract/schemas/instances.ts'
import type {Caller} from '../../../domain/caller.ts'
import {problem} from '../../../domain/errors.ts'
import type {Services} from '../../../domain/services/services.ts'
import {below, call, idOf, idsOf, numbered, pageBounds} from './call.ts'
import {instancesToWire, instanceToWire, statusesOf, WireInstance} from './instance-wire.ts'
import {nodeOf} from './nodes.ts'
import {settled} from './settled.ts'
import {ById, given, IdsInBody, IdsInQuery, PageQuery, pageOf, TextFilter} from './wire.ts'

const folders = ['instance']
/** Stopping and restarting wait so long for the workload (wire.md 3.1, rows 15–17). */
const graceSeconds = 30

const Status = Type.Optional(Type.Enum(['', 'creating', 'running', 'exited', 'failed', 'unknown']))
const AnyId = Type.Optional(Type.Integer({minimum: 1, maximum: 999_999_999_999}))

/** The caller's instance of this number. Throws not_found. */
export async function instanceOf({instances}: Services, number: number, caller: Caller): Promise<Instance> {
  const found = numbered('instance', [await instances.get({id: String(number)}, caller)], number)
  // Who deleted it never wants to see it again.
  return numbered('instance', found.desired === 'deleted' ? [] : [found], number)
}

const power = {
  start: {words: ['startInstance', 'startContainer'], said: '启动成功', summary: 'Start a stopped instance.'},
  stop: {words: ['stopInstance', 'stopContainer'], said: '停止成功', summary: 'Stop an instance; it keeps its GPUs.'},
  restart: {words: ['restartInstance', 'restartContainer'], said: '重启成功', summary: 'Stop and start an instance.'},
} as const

function powerRoute(verb: keyof typeof power) {
  const {words, said, summary} = power[verb]
  return call({
    method: 'POST',
    paths: below(folders, ...words),
    access: 'user',
    summary: `${summary} Answers when it is done, or after 35 seconds as it is then.`,
    said,
    query: ById,
    body: ById,
    data: WireInstance,
    async handle({query, body, asker, services}) {
      const {id} = await instanceOf(services, idOf(body, query), asker)
      if (verb === 'start') await services.instances.start({id}, asker)
      else await services.instances[verb]({id, graceSeconds}, asker)
      const instance = await settled(services, id, asker)
      if (instance.status === 'failed') throw problem('node_failed', {name: instance.node, reason: instance.reason})
      return instanceToWire(instance, services, asker)
    },
  })
}

/** Section "实例管理" of document 002; logs, statistics and the terminal have files of their own. */
export const instanceRoutes = [
  call({
    method: 'GET',
    paths: below(folders, 'getInstanceList'),
    access: 'viewer',
    summary: 'List your instances; administrators see all.',
    said: '获取成功',
    query: Type.Object({...PageQuery, name: TextFilter, status: Status, containerStatus: Status}),
    data: pageOf(WireInstance),
    async handle({query, asker, services}) {
      const {page, pageSize, offset} = pageBounds(query)
      const statuses = statusesOf(query.status || query.containerStatus)
      const wanted = given({namePart: query.name || undefined, statuses})
      const {list, total} = await services.instances.page({...wanted, limit: pageSize, offset}, asker)
      return {list: await instancesToWire(list, services, asker), total, page, pageSize}
    },
  }),
  call({
    method: 'GET',
    paths: below(folders, 'findInstance'),
    access: 'viewer',
    summary: 'One instance.',
    said: '查询成功',
    query: ById,
    data: WireInstance,
    handle: async ({query, asker, services}) =>
      instanceToWire(await instanceOf(services, idOf(query), asker), services, asker),
  }),
  call({
    method: 'POST',
    paths: below(folders, 'createInstance'),
    access: 'user',
    summary: 'An instance from an image and a spec of the catalogue, on the node that is named or on the best one.',
    said: '创建成功',
    body: Type.Object({
      imageId: Type.Integer({minimum: 1, maximum: 999_999_999_999}),
      ...{productSpecId: AnyId, specId: AnyId, computeNodeId: AnyId, nodeId: AnyId},
      name: Type.Optional(Name),
      remark: Type.Optional(Type.String({maxLength: 512})),
    }),
    data: WireInstance,
    async handle({body, asker, services}) {
      const {imageId, name, remark} = body
      const image = numbered('image', await services.images.list({}, asker), imageId)
      const spec = await specOf(services, body.productSpecId ?? body.specId, asker)
      const number = body.computeNodeId ?? body.nodeId
      const node = number === undefined ? undefined : (await nodeOf(services, number, asker)).id
      const wish = {image: image.id, spec, ...given({name, remark, node})}
      return instanceToWire(await services.instances.create(wish, asker), services, asker)
    },
  }),
  call({
    method: 'PUT',
    paths: below(folders, 'updateInstance'),
    access: 'user',
    summary: 'Change the remark of an instance; its name stays.',
    said: '更新成功',
    query: ById,
    body: Type.Object({...ById.properties, remark: Type.Optional(Type.String({maxLength: 512}))}),
    data: WireInstance,
    async handle({query, body, asker, services}) {
      const instance = await instanceOf(services, idOf(body, query), asker)
      const {remark = instance.remark} = body
      return instanceToWire(await services.instances.update({id: instance.id, remark}, asker), services, asker)
    },
  }),
  powerRoute('start'),
  powerRoute('stop'),
  powerRoute('restart'),
  call({
    method: 'DELETE',
    paths: below(folders, 'deleteInstance'),
    access: 'user',
    summary: 'Remove an instance with its container and its named volumes.',
    said: '删除成功',
    query: ById,
    body: ById,
    data: Type.Object({}),
    async handle({query, body, asker, services}) {
      const {id} = await instanceOf(services, idOf(body, query), asker)
      await services.instances.delete({id}, asker)
      return {}
    },
  }),
  call({
    method: 'DELETE',
    paths: below(folders, 'deleteInstanceByIds'),
    access: 'user',
    summary: 'Remove several instances with their containers and named volumes.',
    said: '批量删除成功',
    query: IdsInQuery,
    body: IdsInBody,
    data: Type.Object({}),
    async handle({query, body, asker, services}) {
      const found = await Promise.all(idsOf(body, query).map(number => instanceOf(services, number, asker)))
      for (const {id} of found) await services.instances.delete({id}, asker)
      return {}
    },
  }),
]

/** Id of the spec of this number. Throws input_invalid, not_found. */
export async function specOf({specs}: Services, number: number | undefined, caller: Caller): Promise<string> {
  if (number === undefined) {
    throw problem('input_invalid', {field: 'productSpecId', problem: 'is missing', fix: 'Give the ID of a spec.'})
  }
  return numbered('spec', await specs.list({}, caller), number).id
}
