import {Type} from 'typebox'
import type {Image} from '../../../contract/schemas/catalogue.ts'
import {ImageAddress} from '../../../contract/schemas/claims.ts'
import {below, call, idOf, idsOf, numbered, onePage} from './call.ts'
import {
  ById,
  given,
  IdsInBody,
  IdsInQuery,
  identity,
  identityOf,
  isOn,
  listing,
  PageQuery,
  pageOf,
  Switch,
  TextFilter,
} from './wire.ts'

const folders = ['imageregistry']

export const EntryName = Type.String({pattern: '\\S', minLength: 1, maxLength: 128})

const optional = {
  description: Type.Optional(Type.String({maxLength: 1024})),
  source: Type.Optional(Type.String({maxLength: 256})),
  supportMemorySplit: Type.Optional(Type.Boolean()),
  ...listing,
  remark: Type.Optional(Type.String({maxLength: 512})),
}

const WireImage = Type.Object({
  ...identity,
  name: Type.String(),
  address: Type.String(),
  description: Type.String(),
  source: Type.String(),
  supportMemorySplit: Type.Boolean(),
  isListed: Type.Boolean(),
  isOnShelf: Type.Boolean(),
  remark: Type.String(),
})

function toWire(image: Image) {
  const {name, address, description, source, memorySplit, listed, remark} = image
  const shown = {isListed: listed, isOnShelf: listed}
  return {...identityOf(image), name, address, description, source, supportMemorySplit: memorySplit, ...shown, remark}
}

interface Fields {
  description?: string
  source?: string
  supportMemorySplit?: boolean
  isListed?: boolean
  isOnShelf?: boolean
  remark?: string
}

function fromWire({description, source, supportMemorySplit, isListed, isOnShelf, remark}: Fields) {
  return given({description, source, memorySplit: supportMemorySplit, listed: isListed ?? isOnShelf, remark})
}

/** Section "镜像库管理" of document 002. */
export const imageRoutes = [
  call({
    method: 'GET',
    paths: below(folders, 'getImageRegistryList'),
    access: 'viewer',
    summary: 'List the images of the catalogue.',
    said: '获取成功',
    query: Type.Object({...PageQuery, name: TextFilter, isListed: Switch, isOnShelf: Switch}),
    data: pageOf(WireImage),
    async handle({query, asker, services}) {
      const listed = isOn(query.isListed) ?? isOn(query.isOnShelf)
      const found = await services.images.list(given({listed, name: query.name || undefined}), asker)
      return onePage(found, query, toWire)
    },
  }),
  call({
    method: 'GET',
    paths: below(folders, 'findImageRegistry'),
    access: 'viewer',
    summary: 'One image of the catalogue.',
    said: '查询成功',
    query: ById,
    data: WireImage,
    handle: async ({query, asker, services}) =>
      toWire(numbered('image', await services.images.list({}, asker), idOf(query))),
  }),
  call({
    method: 'POST',
    paths: below(folders, 'createImageRegistry'),
    access: 'super_admin',
    summary: 'Put an image into the catalogue.',
    said: '创建成功',
    body: Type.Object({name: EntryName, address: ImageAddress, ...optional}),
    data: WireImage,
    async handle({body, asker, services}) {
      const {name, address} = body
      return toWire(await services.images.create({name, address, ...fromWire(body)}, asker))
    },
  }),
  call({
    method: 'PUT',
    paths: below(folders, 'updateImageRegistry'),
    access: 'super_admin',
    summary: 'Change an image of the catalogue; members that are absent stay as they are.',
    said: '更新成功',
    query: ById,
    body: Type.Object({
      ...ById.properties,
      name: Type.Optional(EntryName),
      address: Type.Optional(ImageAddress),
      ...optional,
    }),
    data: WireImage,
    async handle({query, body, asker, services}) {
      const {id} = numbered('image', await services.images.list({}, asker), idOf(body, query))
      const {name, address} = body
      return toWire(await services.images.update({id, ...given({name, address}), ...fromWire(body)}, asker))
    },
  }),
  call({
    method: 'DELETE',
    paths: below(folders, 'deleteImageRegistry'),
    access: 'super_admin',
    summary: 'Take an image out of the catalogue.',
    said: '删除成功',
    query: ById,
    body: ById,
    data: Type.Object({}),
    async handle({query, body, asker, services}) {
      const {id} = numbered('image', await services.images.list({}, asker), idOf(body, query))
      await services.images.delete({id}, asker)
      return {}
    },
  }),
  call({
    method: 'DELETE',
    paths: below(folders, 'deleteImageRegistryByIds'),
    access: 'super_admin',
    summary: 'Take several images out of the catalogue.',
    said: '批量删除成功',
    query: IdsInQuery,
    body: IdsInBody,
    data: Type.Object({}),
    async handle({query, body, asker, services}) {
      const all = await services.images.list({}, asker)
      const found = idsOf(body, query).map(number => numbered('image', all, number))
      for (const {id} of found) await services.images.delete({id}, asker)
      return {}
    },
  }),
]
