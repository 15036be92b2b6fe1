import type {Socket} from 'node:net'
import type {ConnectionOptions, TLSSocket} from 'node:tls'
import {UnreachableError} from './api-error.ts'

/** What a server is known by since the login (T28): its certificate itself, whoever signed it and whatever names it bears. */
export interface Pin {
  /** SHA-256 of the certificate as OpenSSL writes it: `AB:CD:…`, 32 bytes. */
  fingerprint: string
  /** PEM. */
  certificate: string
}

export interface ShownCertificate extends Pin {
  /** The system's authorities vouch for it, for this name and now. */
  isTrusted: boolean
}

const withinMs = 10_000

/**
 * A pinned server is trusted by its certificate alone, any other by the authority, or by those of the system; by nothing
 * where a person wants it so.
 */
export function tlsOptions({ca, pin, insecure}: {ca?: string; pin?: Pin; insecure?: boolean}): ConnectionOptions {
  if (!pin && insecure) return {rejectUnauthorized: false}
  if (!pin) return ca === undefined ? {} : {ca}
  return {
    ca: pin.certificate,
    // One that an unknown authority signed is trusted, too; the authority itself is not.
    allowPartialTrustChain: true,
    checkServerIdentity: (_, {fingerprint256}) =>
      fingerprint256 === pin.fingerprint
        ? undefined
        : Object.assign(new Error('another certificate'), {code: 'CERT_NOT_PINNED'}),
  }
}

/** Keeps the fingerprint that the other side shows; it is seen before Node judges it. */
export function watchCertificate(socket: Socket): () => string | undefined {
  let fingerprint: string | undefined
  socket.prependListener('secure', () => {
    fingerprint = readPeer(socket as TLSSocket)?.fingerprint
  })
  return () => fingerprint
}

/** The certificate that an https server shows. Nothing is sent; nothing is trusted by it. Throws UnreachableError. */
export async function seeCertificate(server: string, proxy?: URL): Promise<ShownCertificate> {
  const {connect} = await import('node:tls')
  const {hostname, port} = new URL(server)
  const host = hostname.replace(/^\[|\]$/g, '')
  const through = proxy && (await tunnelTo(server, proxy))
  return new Promise((resolve, reject) => {
    const name = /[a-z]/i.test(host) && !host.includes(':') ? {servername: host} : {}
    const socket = connect({host, port: Number(port || 443), ...name, ...(through && {socket: through})})
    let shown: Pin | undefined
    const finish = (isTrusted: boolean, error: NodeJS.ErrnoException) => {
      socket.destroy()
      if (shown) resolve({...shown, isTrusted})
      else reject(new UnreachableError(server, error))
    }
    socket.setTimeout(withinMs, () => finish(false, Object.assign(new Error('no answer'), {code: 'ETIMEDOUT'})))
    socket.prependListener('secure', () => {
      shown = readPeer(socket)
    })
    socket.once('secureConnect', () => finish(true, new Error('no certificate')))
    socket.once('error', error => finish(false, error))
  })
}

async function tunnelTo(server: string, proxy: URL): Promise<Socket> {
  const {openTunnel} = await import('./proxy.ts')
  return openTunnel(proxy, new URL(server)).catch(error => {
    throw new UnreachableError(server, error)
  })
}

/** Not by getPeerX509Certificate: in Node 20 the certificate is then gone when Node judges it. */
function readPeer(socket: TLSSocket): Pin | undefined {
  const {fingerprint256, raw} = socket.getPeerCertificate()
  if (raw === undefined) return undefined
  const lines = raw.toString('base64').match(/.{1,64}/g) ?? []
  const certificate = `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
  return {fingerprint: fingerprint256, certificate}
}

/** 64 hexadecimal digits, with or without colons and a leading `SHA256:`, as the one form; undefined for anything else. */
export function readFingerprint(text: string): string | undefined {
  const digits = text
    .trim()
    .replace(/^sha-?256[:=]/i, '')
    .replaceAll(':', '')
  return /^[0-9a-f]{64}$/i.test(digits) ? digits.toUpperCase().replace(/(..)(?=.)/g, '$1:') : undefined
}
