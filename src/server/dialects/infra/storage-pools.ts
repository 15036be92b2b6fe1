import type {Static} from 'typebox'
import type {Task} from '../../../contract/schemas/tasks.ts'
import type {Caller} from '../../../domain/caller.ts'
import type {Services} from '../../../domain/services/services.ts'
import {route} from '../../dialect.ts'
import {checkAgrees} from './conflict.ts'
import {Begun, ByPool, CreatePool, MountRemote, PoolBegun, PoolUpdated, poolIdOf, taskIdOf, UpdatePool} from './wire.ts'

export const storagePoolRoutes = [
  route({
    method: 'POST',
    path: '/api/agent/storage-pools/create',
    access: 'super_admin',
    summary: 'Make a storage pool on a device of a node. A device that carries data is taken with force alone.',
    body: CreatePool,
    output: PoolBegun,
    status: 202,
    handle: async ({body, asker, services}) => {
      const {pool_name: name, storage_name: storageName, node_name: node, ...rest} = body
      const {task} = await services.pools.create({name, storageName, node, ...rest}, asker)
      const message = 'ストレージプールの作成を開始しました'
      return {taskId: taskIdOf(task as Task), poolId: poolIdOf(name), poolName: name, message}
    },
  }),
  route({
    method: 'PUT',
    path: '/api/agent/storage-pools/:poolId/update',
    access: 'super_admin',
    summary: 'Export a storage pool over NFS to a network.',
    params: ByPool,
    body: UpdatePool,
    output: PoolUpdated,
    handle: async ({params: {poolId}, body, asker, services}) => {
      const {pool_name: name, network, read_write: readWrite = true, root_squash: rootSquash = false} = body
      checkAgrees('poolId', poolId, {member: 'pool_name', allowed: [poolIdOf(name), name]})
      await services.pools.share({id: name, network, readWrite, rootSquash}, asker)
      return {poolId: poolIdOf(name), poolName: name, message: 'ストレージプール設定を更新しました'}
    },
  }),
  route({
    method: 'POST',
    path: '/api/agent/storage-pools/mount-remote',
    access: 'super_admin',
    summary: 'Mount the export of another machine on nodes.',
    body: MountRemote,
    output: Begun,
    status: 202,
    handle: ({body, asker, services}) => mount(body, asker, services),
  }),
  route({
    method: 'POST',
    path: '/api/agent/storage-pools/:poolId/mount-remote',
    access: 'super_admin',
    summary: 'Mount the export of another machine on nodes; the id is that of the storage, or of the exported pool.',
    params: ByPool,
    body: MountRemote,
    output: Begun,
    status: 202,
    handle: async ({params: {poolId}, body, asker, services}) => {
      const {storage_name: name, export_path: path} = body
      const exported = path.replace(/^\//, '')
      const allowed = [poolIdOf(name), name, poolIdOf(exported), exported]
      checkAgrees('poolId', poolId, {member: 'storage_name', allowed})
      return mount(body, asker, services)
    },
  }),
]

async function mount(body: Static<typeof MountRemote>, caller: Caller, {mounts}: Services) {
  const {storage_name: name, server_ip: server, export_path: exportPath, node_name: nodes, content} = body
  const {task} = await mounts.create({name, nodes, server, exportPath, content}, caller)
  return {taskId: taskIdOf(task as Task), message: 'リモートストレージプールのマウントを開始しました'}
}
