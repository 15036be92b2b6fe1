import {createHash} from 'node:crypto'
import {problem} from './errors.ts'

export interface PublicKey {
  type: string
  bits: number
  /** `SHA256:` and base64 without padding, as OpenSSH prints it. */
  fingerprint: string
  comment: string
  /** The blob of RFC 4253, 6.6, in base64. */
  base64: string
}

const curveBits: Record<string, number> = {nistp256: 256, nistp384: 384, nistp521: 521}
const leastRsaBits = 2048
const mostRsaBits = 16_384
const oneLine = 'Give the one line of a .pub file: TYPE BASE64 [COMMENT].'

/**
 * Reads one line of OpenSSH's public key format (sshd(8), AUTHORIZED_KEYS, without options). Refuses every kind whose
 * signatures the jump host cannot check. Throws key_unusable.
 */
export function readPublicKey(text: string): PublicKey {
  const line = text.trim()
  if (line.includes('PRIVATE KEY')) {
    throw unusable('it is a private key, which never leaves its owner', 'Give the .pub file beside it.')
  }
  if (/[\r\n]/.test(line)) throw unusable('it has more than one line', oneLine)
  const [type = '', base64 = '', ...rest] = line.split(/\s+/)
  const fields = readFields(base64)
  if (!fields || fields[0]?.toString('latin1') !== type) throw unusable('it is not readable', oneLine)
  const bits = bitsOf(type, fields.slice(1))
  return {type, bits, fingerprint: fingerprintOf(Buffer.from(base64, 'base64')), comment: rest.join(' '), base64}
}

export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

function bitsOf(type: string, fields: Buffer[]): number {
  if (type === 'ssh-ed25519') return shaped(fields.length === 1 && fields[0]?.length === 32, 256)
  if (type === 'ssh-rsa') return rsaBits(fields)
  const curve = /^ecdsa-sha2-(nistp\d+)$/.exec(type)?.[1] ?? ''
  const bits = curveBits[curve]
  if (bits !== undefined) {
    const [name, point] = fields
    const size = 1 + 2 * Math.ceil(bits / 8)
    return shaped(name?.toString('latin1') === curve && point?.length === size && point[0] === 4, bits)
  }
  throw unusable(`keys of the type ${type.slice(0, 64)} are not supported`, 'Make one: ssh-keygen -t ed25519')
}

function rsaBits([exponent, modulus, ...more]: Buffer[]): number {
  const first = modulus?.findIndex(byte => byte !== 0) ?? -1
  if (!exponent?.length || !modulus || first < 0 || more.length > 0) return shaped(false, 0)
  const bits = (modulus.length - first) * 8 - Math.clz32(modulus[first] ?? 0) + 24
  if (bits < leastRsaBits || bits > mostRsaBits) {
    throw unusable(`an RSA key of ${bits} bits is not taken`, `Make one of ${leastRsaBits} bits or more, or ed25519.`)
  }
  return bits
}

function shaped(isRight: boolean, bits: number): number {
  if (!isRight) throw unusable('it is damaged', oneLine)
  return bits
}

/** Length-prefixed fields (RFC 4251, 5), or undefined when the text is none. */
function readFields(base64: string): Buffer[] | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined
  const blob = Buffer.from(base64, 'base64')
  const fields: Buffer[] = []
  for (let at = 0; at < blob.length; ) {
    if (at + 4 > blob.length) return undefined
    const end = at + 4 + blob.readUInt32BE(at)
    if (end > blob.length) return undefined
    fields.push(blob.subarray(at + 4, end))
    at = end
  }
  return fields
}

function unusable(trouble: string, fix: string) {
  return problem('key_unusable', {problem: trouble, fix})
}
