/** Calls an agent's local API; the body of the answer where it is JSON. */
export async function callLocalApi(
  {url, token}: {url: string; token?: string},
  method: string,
  path: string,
  {body, raw, headers}: {body?: unknown; raw?: string; headers?: Record<string, string>} = {},
) {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: {...(token === undefined ? {} : {authorization: `Bearer ${token}`}), ...headers},
    body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
  })
  const text = await answer.text()
  const isJson = answer.headers.get('content-type')?.startsWith('application/json') ?? false
  // biome-ignore lint/suspicious/noExplicitAny: what an agent answers is for the test to judge.
  return {status: answer.status, text, json: (isJson ? JSON.parse(text) : undefined) as any}
}
