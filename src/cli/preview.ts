import type {Planned} from '../client/client.ts'
import {maskSecrets} from '../client/masked.ts'
import type {Choice} from './context.ts'
import {isMachine, type OutputMode} from './global-flags.ts'
import {NothingSent} from './nothing-sent.ts'
import {encodeObject} from './output/listing.ts'
import {encodeValue, write} from './output/machine.ts'
import {escapeJson} from './output/safe.ts'

interface Scene {
  choice: Choice
  /** Where the token comes from; undefined = there is none. */
  token: string | undefined
  insecure: boolean
  mode: OutputMode
}

/** The call as a curl command that does the same, with the token left to the environment. */
export async function showCurl(planned: Planned, scene: Scene): Promise<never> {
  const command = curlOf(planned, scene)
  if (isMachine(scene.mode.format)) {
    await write(process.stdout, await encodeValue({...partsOf(planned, scene), curl: command}, scene.mode.format))
  } else await write(process.stdout, `${command}\n`)
  throw new NothingSent()
}

/** What would be called, where, and as whom. */
export async function showPlan(planned: Planned, scene: Scene): Promise<never> {
  const parts = partsOf(planned, scene)
  const {choice, token, mode} = scene
  const text = isMachine(mode.format)
    ? await encodeValue({...parts, server: {...parts.server, token: token ?? null}}, mode.format)
    : await encodeObject(
        parts,
        [
          ['Operation', parts.operation],
          ['Request', `${parts.method} ${parts.url}`],
          ['Body', parts.body === null ? null : escapeJson(JSON.stringify(parts.body))],
          ['Upload', planned.uploadBytes === undefined ? null : `${planned.uploadBytes} bytes`],
          ['Answer', parts.transport],
          [
            'Server',
            `${choice.server}${choice.context ? ` (context ${choice.context.name})` : ''}, by ${choice.origin}`,
          ],
          ['As', token === undefined ? 'nobody: no token' : `the owner of the token of ${token}`],
        ],
        {...mode, quiet: false},
      )
  await write(process.stdout, text)
  throw new NothingSent()
}

function partsOf({operation, message, transport}: Planned, {choice}: Scene) {
  const {method, path, body, headers} = message
  return {
    operation: operation ?? null,
    method,
    url: `${choice.server}${path}`,
    headers,
    body: body === undefined ? null : maskSecrets(readBody(body), () => '***'),
    transport,
    server: {url: choice.server, context: choice.context?.name ?? null, origin: choice.origin},
  }
}

function readBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function curlOf({message, transport, uploadBytes}: Planned, {choice, token, insecure}: Scene): string {
  const {method, path, body} = message
  const isSocket = transport === 'socket'
  const headers = {
    ...message.headers,
    ...(body === undefined ? {} : {'content-type': 'application/json'}),
    ...(isSocket ? socketHeaders : {}),
  }
  return [
    'curl -sS',
    ...(transport === 'json' ? [] : ['--no-buffer']),
    ...(isSocket ? ['--include --http1.1'] : []),
    ...(insecure ? ['--insecure'] : []),
    ...(choice.caCert ? [`--cacert ${quote(choice.caCert)}`] : []),
    ...(method === 'GET' ? [] : [`-X ${method}`]),
    ...(token === undefined ? [] : ['-H "Authorization: Bearer $GPUCTL_TOKEN"']),
    ...Object.entries(headers).map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`),
    ...(uploadBytes === undefined ? [] : ["-H 'content-type: application/octet-stream' --data-binary @FILE"]),
    ...(body === undefined ? [] : [`--data ${quoteBody(body)}`]),
    quote(`${choice.server}${path}`),
  ].join(' ')
}

/** Any 16 bytes will do for the key. */
const socketHeaders = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': Buffer.from('gpuctl--gpuctl--').toString('base64'),
}

function quote(text: string): string {
  return `'${escapeJson(text).replaceAll("'", "'\\''")}'`
}

/** Each secret in it becomes a variable of the shell: `"password":"'"$PASSWORD"'"`. */
function quoteBody(text: string): string {
  const names = new Set<string>()
  const masked = maskSecrets(readBody(text), name => {
    const variable = name
      .replace(/([a-z])([A-Z])/g, '$1_$2')
      .replace(/\W/g, '_')
      .toUpperCase()
    names.add(variable)
    return `\u0001${variable}\u0001`
  })
  const quoted = quote(typeof masked === 'string' ? masked : JSON.stringify(masked))
  return [...names].reduce((line, name) => line.replaceAll(`\\u0001${name}\\u0001`, `'"$${name}"'`), quoted)
}
