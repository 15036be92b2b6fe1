/** One member that is not as wanted; `from` undefined: it was not set. */
export interface Difference {
  field: string
  from: unknown
  to: unknown
}

/**
 * Where what is there differs from what is wanted. Only members that the manifest names count: what it leaves out stays as
 * it is. Maps inside (labels, variables) are compared whole, `partial` ones member by member.
 */
export function differences(wanted: object, found: object, partial: readonly string[] = []): Difference[] {
  return Object.entries(wanted).flatMap(([field, to]): Difference[] => {
    const from = (found as Record<string, unknown>)[field]
    if (to === undefined || isSame(to, from)) return []
    if (partial.includes(field) && isMap(to) && isMap(from)) {
      return differences(to, from).map(one => ({...one, field: `${field}.${one.field}`}))
    }
    return [{field, from, to}]
  })
}

function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, at) => isSame(one, b[at]))
  if (!isMap(a) || !isMap(b)) return a === b
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...keys].every(key => isSame(a[key], b[key]))
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
