import {type Static, type TSchema, Type} from 'typebox'

export const Uuid = Type.String({pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'})

/** RFC 3339 in UTC with milliseconds, so that text order is time order. */
export const Time = Type.String({description: 'RFC 3339, UTC'})

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

/** What every public object carries: a uuid, and an integer for the APIs that count. */
export const identity = {
  id: Uuid,
  number: Type.Integer({minimum: 1}),
  createdAt: Time,
  updatedAt: Time,
}

/** How a caller names a thing: uuid, number, name, or a unique beginning of the uuid (four characters or more). */
export const Reference = Type.String({minLength: 1, maxLength: 253})
export const ById = Type.Object({id: Reference})

export const Nothing = Type.Object({})
export const Done = Type.Object({done: Type.Literal(true)})

/** Name of an instance, node, image, …: a DNS label with dots, so that it can stand in ssh config and host names. */
export const Name = Type.String({
  pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$',
  description: 'letters, digits, dot, dash and underscore; begins and ends with a letter or digit; at most 63',
})

/** Keys and values of labels. At most 64. */
export const Labels = Type.Record(
  Type.String({pattern: '^[A-Za-z0-9]([A-Za-z0-9./_-]{0,62})$'}),
  Type.String({maxLength: 255}),
  {
    maxProperties: 64,
  },
)

/** GB = 2^30 bytes, as document 003 counts. */
export const gigabytes = Type.Integer({minimum: 0, maximum: 1_000_000})

export const Page = {
  limit: Type.Optional(Type.Integer({minimum: 1, maximum: 1000, description: 'at most so many'})),
  offset: Type.Optional(Type.Integer({minimum: 0, description: 'leave out so many'})),
}

/** An entry that something was made from; it may have left the catalogue since. */
export const CatalogueEntry = Type.Object({id: Uuid, number: Type.Integer({minimum: 1}), name: Type.String()})
export type CatalogueEntry = Static<typeof CatalogueEntry>
