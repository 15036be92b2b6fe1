import {X509Certificate} from 'node:crypto'
import {hostname} from 'node:os'
import {join} from 'node:path'
import {readSecretFile, writeSecretFile} from '../platform/files.ts'
import {makeSelfSigned} from '../platform/self-signed.ts'
import type {ListenAddress, Tls} from '../server/listen.ts'

/** It is known by its fingerprint, so it shall not end while anybody still uses the server. */
const years = 20

/** The certificate that signs itself: made at the first start that wants it, then kept (T28). */
export async function ownCertificate(directory: string, addresses: readonly ListenAddress[]): Promise<Tls> {
  const path = join(directory, 'tls.pem')
  const kept = await readSecretFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
  if (kept !== undefined) return {cert: kept, key: kept}
  const hosts = addresses.map(({host}) => host).filter(host => host !== '0.0.0.0' && host !== '::')
  const names = [...new Set(['localhost', '127.0.0.1', '::1', hostname(), ...hosts])]
  const {cert, key} = makeSelfSigned({names, fromMs: Date.now() - 60 * 60 * 1000, years})
  // In one file, so that a crash cannot part them.
  await writeSecretFile(path, `${key}${cert}`)
  return {cert: `${key}${cert}`, key}
}

export function fingerprintOf({cert}: Tls): string {
  return new X509Certificate(cert).fingerprint256
}
