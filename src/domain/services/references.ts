import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const prefix = /^[0-9a-f-]{4,35}$/

interface Named {
  id: string
  name: string
}

/** Where to look a thing up. What the caller may not see is left out by the finders, so that it looks absent (T18). */
export interface Finders<T> {
  kind: string
  byId(id: string): Promise<T | undefined>
  byNumber(number: number): Promise<T | undefined>
  /** Several only where a name alone does not decide. */
  byName(name: string): Promise<T[]>
  /** At most three: more is as ambiguous as two. */
  byPrefix(prefix: string): Promise<T[]>
  nameOf(found: T): Named
}

/** uuid → number → exact name → unique beginning of the uuid. Throws not_found, name_ambiguous. */
export async function resolve<T>(reference: string, finders: Finders<T>): Promise<T> {
  const found = await look(reference, finders)
  if (found) return found
  throw problem('not_found', {kind: finders.kind, name: reference})
}

async function look<T>(reference: string, finders: Finders<T>): Promise<T | undefined> {
  if (uuid.test(reference)) return finders.byId(reference)
  if (/^[1-9]\d{0,14}$/.test(reference)) {
    const numbered = await finders.byNumber(Number(reference))
    if (numbered) return numbered
  }
  const named = await finders.byName(reference)
  if (named.length > 0) return only(reference, named, finders)
  if (!prefix.test(reference)) return undefined
  return only(reference, await finders.byPrefix(reference), finders)
}

function only<T>(reference: string, found: T[], {nameOf}: Finders<T>): T | undefined {
  if (found.length < 2) return found[0]
  const candidates = found.map(one => `${nameOf(one).name} (${nameOf(one).id.slice(0, 8)})`).join(', ')
  throw problem('name_ambiguous', {name: reference, candidates})
}

/** Undefined: the caller sees everybody's. */
export function ownerSeen(caller: Pick<Caller, 'id' | 'role'>): string | undefined {
  return caller.role === 'super_admin' ? undefined : caller.id
}

/** For tables that are small and have no finders of their own. */
export function findersAmong<T extends {id: string; number: number}>(
  kind: string,
  list: () => Promise<T[]>,
  name: (one: T) => string,
): Finders<T> {
  const where = async (test: (one: T) => boolean) => (await list()).filter(test)
  return {
    kind,
    byId: async id => (await where(one => one.id === id))[0],
    byNumber: async number => (await where(one => one.number === number))[0],
    byName: text => where(one => name(one) === text),
    byPrefix: text => where(one => one.id.startsWith(text)),
    nameOf: one => ({id: one.id, name: name(one)}),
  }
}
