import {type TSchema, Type} from 'typebox'

/** `{code, data, msg}` of document 002: 0 is success. */
export const envelope = (data: TSchema) => Type.Object({code: Type.Literal(0), data, msg: Type.String()})

/** What every record carries. `uuid` is ours. */
export const identity = {
  ID: Type.Integer({minimum: 1}),
  uuid: Type.String(),
  CreatedAt: Type.String(),
  UpdatedAt: Type.String(),
}

export function identityOf({id, number, createdAt, updatedAt}: Identified) {
  return {ID: number, uuid: id, CreatedAt: createdAt, UpdatedAt: updatedAt}
}

interface Identified {
  id: string
  number: number
  createdAt: string
  updatedAt: string
}

const Id = Type.Integer({minimum: 1, maximum: 999_999_999_999})

/** An ID is taken in both spellings, from body and query: the document has the one, the origin the other. */
export const ById = Type.Object({ID: Type.Optional(Id), id: Type.Optional(Id)})

const listOfIds = Type.Optional(Type.Array(Id, {maxItems: 1000}))
export const IdsInBody = Type.Object({IDs: listOfIds, ids: listOfIds})
const listOfTexts = Type.Optional(Type.Array(Type.String({pattern: '^[1-9]\\d{0,11}$'}), {maxItems: 1000}))
export const IdsInQuery = Type.Object({'IDs[]': listOfTexts, IDs: listOfTexts, 'ids[]': listOfTexts, ids: listOfTexts})

export const PageQuery = {
  page: Type.Optional(Type.Integer({minimum: 0, maximum: 100_000_000, description: 'page, from 1'})),
  pageSize: Type.Optional(
    Type.Integer({minimum: 0, maximum: 1_000_000, description: 'entries of a page, at most 100'}),
  ),
}

/** Filters that are empty filter nothing. */
export const TextFilter = Type.Optional(Type.String({maxLength: 256}))
export const Switch = Type.Optional(Type.Enum(['', 'true', 'false', '1', '0']))

export function isOn(filter: string | undefined): boolean | undefined {
  return filter === undefined || filter === '' ? undefined : filter === 'true' || filter === '1'
}

export const pageOf = (item: TSchema) =>
  Type.Object({list: Type.Array(item), total: Type.Integer(), page: Type.Integer(), pageSize: Type.Integer()})

/** Whether something is offered: the document's spelling, and the origin's. */
export const listing = {isListed: Type.Optional(Type.Boolean()), isOnShelf: Type.Optional(Type.Boolean())}

/** The same without the members that are not there: an absent one stays unchanged. */
export function given<T extends object>(fields: T): {[K in keyof T]: Exclude<T[K], undefined>} {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never
}
