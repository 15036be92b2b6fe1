import {apiPrefix, type OperationName, routes} from '../contract/routes.ts'

export interface RequestParts {
  method: string
  /** Path and query. */
  path: string
  body?: string
}

/** Puts an operation's input where its route wants it: path parameters, then query (GET, DELETE, uploads) or JSON body. */
export function requestParts(
  name: OperationName,
  input: Record<string, unknown>,
  {isUpload = false}: {isUpload?: boolean} = {},
): RequestParts {
  const [method, pattern] = routes[name].split(' ') as [string, string]
  const rest = new Map(Object.entries(input).filter(([, value]) => value !== undefined))
  const path = pattern.replace(/:(\w+)/g, (_, parameter: string) => {
    const value = rest.get(parameter)
    rest.delete(parameter)
    return encodeURIComponent(String(value))
  })
  if (isUpload || method === 'GET' || method === 'DELETE') return {method, path: `${apiPrefix}${path}${queryOf(rest)}`}
  return {method, path: `${apiPrefix}${path}`, body: JSON.stringify(Object.fromEntries(rest))}
}

function queryOf(values: Map<string, unknown>): string {
  if (values.size === 0) return ''
  const query = new URLSearchParams()
  for (const [name, value] of values) for (const one of [value].flat()) query.append(name, String(one))
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}
