import {BlockList, isIP} from 'node:net'
import {usageError} from './failure.ts'

/**
 * The proxy through which the environment wants this server to be reached: HTTPS_PROXY or HTTP_PROXY by the server's scheme,
 * in small letters or capitals; undefined where NO_PROXY names it, and for this machine itself.
 */
export function proxyOf(server: string, env: NodeJS.ProcessEnv): URL | undefined {
  const {protocol, hostname, port} = new URL(server)
  const name = protocol === 'https:' ? 'https_proxy' : 'http_proxy'
  const text = env[name] || env[name.toUpperCase()]
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase()
  if (!text || isLoopback(host)) return undefined
  const exceptions = (env.no_proxy || env.NO_PROXY || '').toLowerCase().split(/[\s,]+/)
  const at = port || (protocol === 'https:' ? '443' : '80')
  if (exceptions.some(one => one !== '' && isMeant(one, host, at))) return undefined
  return readProxy(name.toUpperCase(), text)
}

/** The text itself is not repeated: a password may stand in it. */
function readProxy(name: string, text: string): URL {
  const whole = text.includes('://') ? text : `http://${text}`
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  if (url && /^https?:$/.test(url.protocol) && url.hostname !== '' && isDecodable(url)) return url
  throw usageError(
    `${name} holds no address of a proxy that can be used.`,
    'Write it as http://HOST:PORT, https://HOST:PORT or http://USER:PASSWORD@HOST:PORT (with %40 for an @ in the password).',
  )
}

function isDecodable({username, password}: URL): boolean {
  try {
    return decodeURIComponent(username + password) !== undefined
  } catch {
    return false
  }
}

function isLoopback(host: string): boolean {
  return (
    host === 'localhost' || host.endsWith('.localhost') || host === '::1' || (isIP(host) === 4 && /^127\./.test(host))
  )
}

/** `*`, a name with all below it (a leading dot or `*.` says the same), an address, or a network; a port may follow. */
function isMeant(exception: string, host: string, port: string): boolean {
  if (exception === '*') return true
  const [, bare = exception, wantedPort] = /^(\[.*\]|[^:]*):(\d+)$/.exec(exception) ?? []
  if (wantedPort !== undefined && wantedPort !== port) return false
  const name = bare.replace(/^\[|\]$/g, '').replace(/^\*?\./, '')
  if (name.includes('/')) return isWithin(name, host)
  return host === name || (isIP(host) === 0 && host.endsWith(`.${name}`))
}

function isWithin(network: string, host: string): boolean {
  const [address = '', bits = ''] = network.split('/')
  const version = isIP(address)
  if (version === 0 || isIP(host) !== version || !/^\d{1,3}$/.test(bits)) return false
  if (Number(bits) > (version === 4 ? 32 : 128)) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  list.addSubnet(address, Number(bits), family)
  return list.check(host, family)
}
