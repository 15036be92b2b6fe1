interface Schema {
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  anyOf?: Schema[]
  enum?: unknown[]
  const?: unknown
  pattern?: string
  minimum?: number
  exclusiveMinimum?: number
  minLength?: number
  minItems?: number
  items?: Schema
}

const words = [
  'alpha-12',
  '2026-01-01T00:00:00Z',
  '00000000-0000-4000-8000-000000000001',
  'ABCDE',
  '/gpuctl/v1/events/stream',
  'tcp://h:1',
  '192.168.3.0/24',
  '192.168.3.5',
  '/dev/sdb',
  '9000',
  '0'.repeat(64),
  'local:backup/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst',
]

/** A value that the schema accepts: its required members, each as small as may be. */
export function sampleOf(schema: unknown): unknown {
  const {type, properties = {}, required = [], anyOf, items, minItems = 0, ...rest} = schema as Schema
  if (anyOf) return sampleOf(anyOf[0])
  if (rest.enum) return rest.enum[0]
  if (rest.const !== undefined) return rest.const
  if (type === 'object') return Object.fromEntries(required.map(name => [name, sampleOf(properties[name])]))
  if (type === 'array') return Array.from({length: minItems}, () => sampleOf(items))
  if (type === 'integer') return rest.minimum ?? 0
  if (type === 'number') return rest.minimum ?? (rest.exclusiveMinimum ?? 0) + 1
  if (type === 'boolean') return false
  const {pattern, minLength = 0} = rest
  return words.find(word => word.length >= minLength && (pattern === undefined || new RegExp(pattern).test(word)))
}

/** Method, target and body of a call that is right in all but who makes it. */
export function sampleCall(route: string, input: unknown): {method: string; target: string; body: unknown} {
  const [method, path] = route.split(' ') as [string, string]
  const members = {...(sampleOf(input) as Record<string, unknown>)}
  const target = path.replace(/:(\w+)/g, (_, name: string) => {
    const value = String(members[name])
    delete members[name]
    return encodeURIComponent(value)
  })
  if (method !== 'GET' && method !== 'DELETE') return {method, target, body: members}
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(members)) for (const one of [value].flat()) query.append(name, String(one))
  return {method, target: query.size > 0 ? `${target}?${query}` : target, body: undefined}
}
