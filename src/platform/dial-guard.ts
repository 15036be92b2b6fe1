import {BlockList, isIP, isIPv4} from 'node:net'

/** Never dialled, whoever asks (security T6): nobody's, link-local, multicast, and IPv6 forms that hide an IPv4 address. */
const forbidden = blockList([
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['224.0.0.0', 3],
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 32],
  ['2002::', 16],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
])
const loopback = blockList([
  ['127.0.0.0', 8],
  ['::1', 128],
])

/**
 * The address in its one spelling; a v4-mapped one as IPv4. Undefined unless it is an IP literal without a zone: names
 * and the spellings that only URLs know (`127.1`, `0x7f000001`, fullwidth digits) are none (reliability M13).
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIP(text) === 0 || text.includes('%')) return undefined
  if (isIPv4(text)) return text
  const address = new URL(`http://[${text}]`).hostname.slice(1, -1)
  const halves = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address)
  if (!halves) return address
  const bits = Number.parseInt(halves[1]!, 16) * 65_536 + Number.parseInt(halves[2]!, 16)
  return [24, 16, 8, 0].map(shift => (bits >>> shift) & 255).join('.')
}

/** 127.0.0.0/8 and ::1, in whatever spelling. */
export function isLoopbackAddress(text: string): boolean {
  const address = canonicalAddress(text)
  return address !== undefined && isIn(loopback, address)
}

/** Link-local (the metadata of clouds), nobody's, multicast, and forms that hide such an address. */
export function isNeverDialled(text: string): boolean {
  const address = canonicalAddress(text)
  return address !== undefined && isIn(forbidden, address) && !isIn(loopback, address)
}

export interface DialGuardOptions {
  /** `10.1.0.0/16`: machines there may be named by others than themselves. */
  nodeCidrs?: readonly string[]
}

/**
 * Decides where the server may dial when the address came from outside (security T6). Ask it at every dial, and dial
 * exactly the address that it answers.
 */
export class DialGuard {
  readonly #trusted: BlockList
  readonly #ownPorts = new Set<number>()

  /** Throws RangeError when a network is none. */
  constructor({nodeCidrs = []}: DialGuardOptions = {}) {
    this.#trusted = blockList(nodeCidrs.map(readCidr))
  }

  /** Ports on which this server listens: it never dials them. */
  addOwnPorts(ports: readonly number[]): void {
    for (const port of ports) this.#ownPorts.add(port)
  }

  /** The address to dial, in its one spelling; undefined when it may not be dialled. */
  checkDial(address: string, port: number): string | undefined {
    const found = canonicalAddress(address)
    if (found === undefined || !Number.isInteger(port) || port < 1024 || port > 65_535) return undefined
    return this.#ownPorts.has(port) || (isIn(forbidden, found) && !isIn(loopback, found)) ? undefined : found
  }

  /** Whether the machine at `peer` may say that something listens at `address`: itself, or what an administrator trusts. */
  mayClaim(address: string, peer: string): boolean {
    const claimed = canonicalAddress(address)
    const asked = canonicalAddress(peer)
    if (claimed === undefined || asked === undefined) return false
    if (isIn(loopback, claimed)) return isIn(loopback, asked)
    return claimed === asked || isIn(this.#trusted, claimed)
  }
}

function blockList(networks: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [network, bits] of networks) list.addSubnet(network, bits, isIPv4(network) ? 'ipv4' : 'ipv6')
  return list
}

function isIn(list: BlockList, address: string): boolean {
  return list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

function readCidr(text: string): [string, number] {
  const [, network = '', bits = ''] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text.trim()) ?? []
  const most = isIP(network) === 4 ? 32 : 128
  if (isIP(network) === 0 || Number(bits) > most) throw new RangeError(`${text} is not a network, as 10.1.0.0/16`)
  return [network, Number(bits)]
}
