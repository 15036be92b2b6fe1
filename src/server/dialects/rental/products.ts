import {Type} from 'typebox'
import type {Spec} from '../../../contract/schemas/catalogue.ts'
import {below, call, idOf, idsOf, numbered, onePage} from './call.ts'
import {EntryName} from './images.ts'
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

const folders = ['product', 'productSpec']

const Figure = Type.Optional(Type.Integer({minimum: 0, maximum: 1_000_000}))

const optional = {
  gpuModel: Type.Optional(Type.String({maxLength: 128})),
  gpuCount: Figure,
  memoryCapacity: Figure,
  supportMemorySplit: Type.Optional(Type.Boolean()),
  cpuCores: Figure,
  memoryGb: Figure,
  systemDiskGb: Figure,
  dataDiskGb: Figure,
  pricePerHour: Type.Optional(Type.Number({minimum: 0, maximum: 1_000_000})),
  ...listing,
}

const WireProduct = Type.Object({
  ...identity,
  name: Type.String(),
  gpuModel: Type.String(),
  gpuCount: Type.Integer(),
  memoryCapacity: Type.Integer({description: 'GB of all cards together'}),
  supportMemorySplit: Type.Boolean(),
  cpuCores: Type.Integer(),
  memoryGb: Type.Integer(),
  systemDiskGb: Type.Integer(),
  dataDiskGb: Type.Integer(),
  pricePerHour: Type.Number(),
  isListed: Type.Boolean(),
  isOnShelf: Type.Boolean(),
})

function toWire(spec: Spec) {
  const {name, gpuModel, gpuCount, gpuMemoryGiB, memorySplit, cpus, memoryGiB, systemDiskGiB, dataDiskGiB} = spec
  return {
    ...identityOf(spec),
    name,
    gpuModel,
    gpuCount,
    memoryCapacity: gpuMemoryGiB,
    supportMemorySplit: memorySplit,
    cpuCores: cpus,
    memoryGb: memoryGiB,
    systemDiskGb: systemDiskGiB,
    dataDiskGb: dataDiskGiB,
    pricePerHour: spec.pricePerHour,
    isListed: spec.listed,
    isOnShelf: spec.listed,
  }
}

interface Fields {
  gpuModel?: string
  gpuCount?: number
  memoryCapacity?: number
  supportMemorySplit?: boolean
  cpuCores?: number
  memoryGb?: number
  systemDiskGb?: number
  dataDiskGb?: number
  pricePerHour?: number
  isListed?: boolean
  isOnShelf?: boolean
}

function fromWire(fields: Fields) {
  const {gpuModel, gpuCount, cpuCores, memoryGb, systemDiskGb, dataDiskGb, pricePerHour} = fields
  return given({
    ...{gpuModel, gpuCount, pricePerHour},
    gpuMemoryGiB: fields.memoryCapacity,
    memorySplit: fields.supportMemorySplit,
    cpus: cpuCores,
    memoryGiB: memoryGb,
    systemDiskGiB: systemDiskGb,
    dataDiskGiB: dataDiskGb,
    listed: fields.isListed ?? fields.isOnShelf,
  })
}

/** Section "产品规格管理" of document 002. */
export const productRoutes = [
  call({
    method: 'GET',
    paths: below(folders, 'getProductSpecList'),
    access: 'viewer',
    summary: 'List the specs of the catalogue.',
    said: '获取成功',
    query: Type.Object({...PageQuery, name: TextFilter, gpuModel: TextFilter, isListed: Switch, isOnShelf: Switch}),
    data: pageOf(WireProduct),
    async handle({query, asker, services}) {
      const listed = isOn(query.isListed) ?? isOn(query.isOnShelf)
      const found = await services.specs.list(given({listed, name: query.name || undefined}), asker)
      const {gpuModel = ''} = query
      return onePage(
        found.filter(spec => spec.gpuModel.includes(gpuModel)),
        query,
        toWire,
      )
    },
  }),
  call({
    method: 'GET',
    paths: below(folders, 'findProductSpec'),
    access: 'viewer',
    summary: 'One spec of the catalogue.',
    said: '查询成功',
    query: ById,
    data: WireProduct,
    handle: async ({query, asker, services}) =>
      toWire(numbered('spec', await services.specs.list({}, asker), idOf(query))),
  }),
  call({
    method: 'POST',
    paths: below(folders, 'createProductSpec'),
    access: 'super_admin',
    summary:
      'Put a spec into the catalogue; memoryCapacity is that of all cards together, gpuCount 0 is without cards.',
    said: '创建成功',
    body: Type.Object({name: EntryName, ...optional}),
    data: WireProduct,
    handle: async ({body, asker, services}) =>
      toWire(await services.specs.create({name: body.name, ...fromWire(body)}, asker)),
  }),
  call({
    method: 'PUT',
    paths: below(folders, 'updateProductSpec'),
    access: 'super_admin',
    summary: 'Change a spec of the catalogue; members that are absent stay as they are.',
    said: '更新成功',
    query: ById,
    body: Type.Object({...ById.properties, name: Type.Optional(EntryName), ...optional}),
    data: WireProduct,
    async handle({query, body, asker, services}) {
      const {id} = numbered('spec', await services.specs.list({}, asker), idOf(body, query))
      const {name} = body
      return toWire(await services.specs.update({id, ...given({name}), ...fromWire(body)}, asker))
    },
  }),
  call({
    method: 'DELETE',
    paths: below(folders, 'deleteProductSpec'),
    access: 'super_admin',
    summary: 'Take a spec out of the catalogue.',
    said: '删除成功',
    query: ById,
    body: ById,
    data: Type.Object({}),
    async handle({query, body, asker, services}) {
      const {id} = numbered('spec', await services.specs.list({}, asker), idOf(body, query))
      await services.specs.delete({id}, asker)
      return {}
    },
  }),
  call({
    method: 'DELETE',
    paths: below(folders, 'deleteProductSpecByIds'),
    access: 'super_admin',
    summary: 'Take several specs out of the catalogue.',
    said: '批量删除成功',
    query: IdsInQuery,
    body: IdsInBody,
    data: Type.Object({}),
    async handle({query, body, asker, services}) {
      const all = await services.specs.list({}, asker)
      const found = idsOf(body, query).map(number => numbered('spec', all, number))
      for (const {id} of found) await services.specs.delete({id}, asker)
      return {}
    },
  }),
]
