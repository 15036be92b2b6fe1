import type {Static, TObject, TSchema} from 'typebox'
import type {Access} from '../../../contract/operation.ts'
import {problem} from '../../../domain/errors.ts'
import {type DialectRoute, route} from '../../dialect.ts'
import type {ById} from './wire.ts'
import {envelope} from './wire.ts'

/** Life of a login of this family, and the last part of it in which its answers carry the next token (wire.md 3.2). */
export const loginLife = {ttlSeconds: 7 * 86_400, leftSeconds: 86_400}

type Nothing = TObject<Record<never, never>>

interface Described<A extends Access, Q extends TSchema, B extends TSchema>
  extends Omit<DialectRoute<A, Nothing, Q, B>, 'path' | 'also' | 'spelled' | 'output'> {
  /** Below the root and below /api/v1; in lower case they are routed. */
  paths: readonly string[]
  /** `msg` of the success. */
  said: string
  /** What `handle` answers: `data` of the success. */
  data: TSchema
}

/** A route of the family: both prefixes, its envelope, and the next token where the caller's is about to end. */
export function call<const A extends Access, Q extends TSchema = Nothing, B extends TSchema = Nothing>({
  paths,
  said,
  data,
  handle,
  ...described
}: Described<A, Q, B>): DialectRoute {
  const [path = '', ...also] = paths.flatMap(bothPrefixes)
  const spelled = paths.flatMap(one => [one, `/api/v1${one}`])
  return route<A, Nothing, Q, B>({
    ...(described as Omit<DialectRoute<A, Nothing, Q, B>, 'path' | 'handle'>),
    path,
    also,
    spelled,
    output: envelope(data),
    handle: async given => {
      const answer = await handle(given)
      const {asker, services, reply} = given
      const next = 'credential' in asker ? await services.auth.renew(asker, loginLife) : undefined
      if (next) reply.headers({'new-token': next.token, 'new-expires-at': seconds(next.expiresAt)})
      return {code: 0, data: answer, msg: said}
    },
  })
}

export function bothPrefixes(path: string): string[] {
  const lower = path.toLowerCase()
  return [lower, `/api/v1${lower}`]
}

/** `name` below each of the folders. */
export function below(folders: readonly string[], ...names: string[]): string[] {
  return folders.flatMap(folder => names.map(name => `/${folder}/${name}`))
}

export function seconds(time: string): number {
  return Math.floor(Date.parse(time) / 1000)
}

/** The ID of a call, which stands in its body or its query, as `ID` or `id`. */
export function idOf(...parts: Static<typeof ById>[]): number {
  for (const {ID, id} of parts) if (ID !== undefined || id !== undefined) return (ID ?? id) as number
  throw problem('input_invalid', {field: 'ID', problem: 'is missing', fix: 'Give the ID of the record.'})
}

/** The one with this number; a name that looks like a number is none. Throws not_found. */
export function numbered<T extends {number: number}>(kind: string, all: readonly T[], number: number): T {
  const found = all.find(one => one.number === number)
  if (!found) throw problem('not_found', {kind, name: number})
  return found
}

export function idsOf(
  body: {IDs?: number[]; ids?: number[]},
  query: {'IDs[]'?: string[]; IDs?: string[]; 'ids[]'?: string[]; ids?: string[]},
): number[] {
  const texts = query['IDs[]'] ?? query.IDs ?? query['ids[]'] ?? query.ids ?? []
  const ids = [...new Set(body.IDs ?? body.ids ?? texts.map(Number))]
  if (ids.length > 0) return ids
  throw problem('input_invalid', {field: 'IDs', problem: 'is missing', fix: 'Give the IDs of the records.'})
}

/** Where a page begins and how long it is: from 1, 10 unless given, at most 100. */
export function pageBounds({page, pageSize}: {page?: number; pageSize?: number}) {
  const bounds = {page: page || 1, pageSize: Math.min(pageSize || 10, 100)}
  return {...bounds, offset: (bounds.page - 1) * bounds.pageSize}
}

export function onePage<T, W>(all: readonly T[], query: {page?: number; pageSize?: number}, toWire: (one: T) => W) {
  const {page, pageSize, offset} = pageBounds(query)
  return {list: all.slice(offset, offset + pageSize).map(toWire), total: all.length, page, pageSize}
}
