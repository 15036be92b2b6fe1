import {generateKeyPairSync, randomBytes, sign} from 'node:crypto'
import {isIP} from 'node:net'

/** A certificate that signs itself and its key, as PEM: ECDSA on P-256, for these names and addresses (RFC 5280). */
export function makeSelfSigned(options: {names: readonly string[]; fromMs: number; years: number}): {
  cert: string
  key: string
} {
  const {publicKey, privateKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'})
  const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
  const name = sequence(set(sequence(oid('550403'), der(0x0c, Buffer.from('gpuctl')))))
  const until = new Date(options.fromMs)
  until.setUTCFullYear(until.getUTCFullYear() + options.years)
  const extension = (id: string, value: Buffer, critical = false) =>
    sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value))
  const serial = randomBytes(16)
  serial[0] = ((serial[0] as number) & 0x7f) | 0x01
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    name,
    sequence(time(new Date(options.fromMs)), time(until)),
    name,
    publicKey.export({type: 'spki', format: 'der'}),
    der(
      0xa3,
      sequence(
        extension('551d13', sequence(), true), // basicConstraints: no authority
        extension('551d0f', der(0x03, Buffer.from([7, 0x80])), true), // keyUsage: digitalSignature
        extension('551d25', sequence(oid('2b06010505070301'))), // extendedKeyUsage: serverAuth
        extension('551d11', sequence(...options.names.map(alternativeName))), // subjectAltName
      ),
    ),
  )
  const signature = sign('sha256', body, privateKey)
  const certificate = sequence(body, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({type: 'pkcs8', format: 'pem'}) as string,
  }
}

function alternativeName(name: string): Buffer {
  if (isIP(name) === 4) return der(0x87, Buffer.from(name.split('.').map(Number)))
  if (isIP(name) === 6) return der(0x87, ipv6(name))
  return der(0x82, Buffer.from(name, 'latin1'))
}

function ipv6(address: string): Buffer {
  const [head = '', tail] = address.split('::')
  const words = (text: string) => (text === '' ? [] : text.split(':').map(word => Number.parseInt(word, 16)))
  const [before, after] = [words(head), words(tail ?? '')]
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
  return Buffer.from(all.flatMap(word => [word >> 8, word & 0xff]))
}

function der(tag: number, content: Uint8Array): Buffer {
  const {length} = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function set(...parts: Uint8Array[]): Buffer {
  return der(0x31, Buffer.concat(parts))
}

function integer(value: Uint8Array): Buffer {
  return der(0x02, value)
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

/** GeneralizedTime only for years that UTCTime cannot say. */
function time(at: Date): Buffer {
  const text = at.toISOString().replace(/[-:T]|\.\d+/g, '')
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text))
}
