import {isIP} from 'node:net'
import {hostname, networkInterfaces} from 'node:os'
import type {FastifyRequest} from 'fastify'
import {problem} from '../domain/errors.ts'

/**
 * The names under which this server answers. A page that lets its own name point at 127.0.0.1 (DNS rebinding) sends
 * that name as Host and is refused; so is every call that a browser makes for another site.
 */
export class HostList {
  #names: Set<string>
  #everywhere = false

  constructor(configured: readonly string[]) {
    this.#names = new Set(['127.0.0.1', 'localhost', '::1', ...configured.map(bare)])
  }

  /** A listener stands at this address. On a wildcard address the machine's own addresses and name count too. */
  add(address: string): void {
    if (address === '0.0.0.0' || address === '::') this.#everywhere = true
    else this.#names.add(bare(address))
  }

  /** Throws host_refused, origin_refused. */
  check(request: FastifyRequest): void {
    const host = onlyHost(request.raw.rawHeaders)
    if (!this.#knows(bare(host))) throw problem('host_refused', {host: host.slice(0, 128) || '(none)'})
    const {origin, 'sec-fetch-site': site} = request.headers
    if (origin === undefined && site !== 'cross-site') return
    if (site === 'cross-site' || hostOf(origin) !== host.toLowerCase()) {
      throw problem('origin_refused', {origin: (origin ?? 'of another site').slice(0, 128)})
    }
  }

  #knows(name: string): boolean {
    if (this.#names.has(name)) return true
    if (!this.#everywhere) return false
    if (isIP(name) === 0) return name === hostname().toLowerCase()
    return Object.values(networkInterfaces()).some(list => list?.some(({address}) => address === name))
  }
}

/** The Host header; two of them are none, because the next reader might believe the other one. */
function onlyHost(rawHeaders: string[]): string {
  const hosts = rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'host')
  return hosts.length === 1 ? (hosts[0] as string) : ''
}

function hostOf(origin: string | undefined): string | undefined {
  return /^https?:\/\/([^/?#]+)$/i.exec(origin ?? '')?.[1]?.toLowerCase()
}

/** Without port, brackets, closing dot and capitals. */
function bare(host: string): string {
  const [, inBrackets, name] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? []
  return (inBrackets ?? name ?? host).toLowerCase().replace(/\.$/, '')
}
