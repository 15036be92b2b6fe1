import type {Static} from 'typebox'
import type {Caller} from '../../../domain/caller.ts'
import type {Services} from '../../../domain/services/services.ts'
import {route} from '../../dialect.ts'
import {checkAgrees} from './conflict.ts'
import {Begun, ByImage, DeleteImage, MakeTemplate, Said, taskIdOf} from './wire.ts'

export const imageRoutes = [
  route({
    method: 'POST',
    path: '/api/agent/images/template',
    access: 'super_admin',
    summary: 'Make a template of an uploaded file.',
    body: MakeTemplate,
    output: Begun,
    status: 202,
    handle: async ({body: {id, name, image_name: file, node_name: node}, asker, services}) => {
      const task = await services.osImages.template({file, id, name, node}, asker)
      return {taskId: taskIdOf(task), message: 'イメージのテンプレート化を開始しました'}
    },
  }),
  route({
    method: 'POST',
    path: '/api/agent/images/delete',
    access: 'super_admin',
    summary: 'Delete an uploaded file.',
    body: DeleteImage,
    output: Said,
    handle: ({body, asker, services}) => remove(body, asker, services),
  }),
  route({
    method: 'POST',
    path: '/api/agent/images/:imageId/delete',
    access: 'super_admin',
    summary: 'Delete an uploaded file; the id is its name, or <storage>:iso/<name>.',
    params: ByImage,
    body: DeleteImage,
    output: Said,
    handle: async ({params, body, asker, services}) => {
      const {image_name: name, storage_id: storage} = body
      const allowed = [name, `${storage}:iso/${name}`]
      checkAgrees('imageId', params.imageId, {member: 'image_name', allowed})
      return remove(body, asker, services)
    },
  }),
]

async function remove(body: Static<typeof DeleteImage>, caller: Caller, {osImages}: Services) {
  const {image_name: file, storage_id: storage, node_name: node} = body
  await osImages.delete({file, storage, node}, caller)
  return {message: 'イメージを削除しました'}
}
