import {execFile} from 'node:child_process'
import {chmod, mkdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'

const exec = promisify(execFile)

/** Mutual TLS for one engine or server: a CA of its own, a server's and a client's certificate (EC P-256, 30 days). */
export interface Certificates {
  /** The folder: ca.pem, cert.pem and key.pem (the client's, as DOCKER_CERT_PATH wants them), server-*.pem, client-*.pem. */
  readonly folder: string
  readonly ca: string
  readonly server: {readonly cert: string; readonly key: string}
  readonly client: {readonly cert: string; readonly key: string}
}

/** For localhost and 127.0.0.1 … 127.0.0.9. Takes about 0.2 s; needs openssl. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  await mkdir(folder, {recursive: true})
  const at = (name: string) => join(folder, name)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const caFiles = ['-keyout', at('ca-key.pem'), '-out', at('ca.pem')]
  await exec('openssl', ['req', '-x509', ...newKey, '-days', '30', '-subj', '/CN=gpuctl test CA', ...caFiles])
  const addresses = Array.from({length: 9}, (_, index) => `IP:127.0.0.${index + 1}`).join(',')
  for (const role of ['server', 'client']) {
    const request = ['-subj', `/CN=${role}`, '-keyout', at(`${role}-key.pem`), '-out', at(`${role}.csr`)]
    await exec('openssl', ['req', ...newKey, ...request])
    await writeFile(at(`${role}.ext`), `extendedKeyUsage=${role}Auth\nsubjectAltName=DNS:localhost,${addresses}\n`)
    const issuer = ['-CA', at('ca.pem'), '-CAkey', at('ca-key.pem'), '-CAcreateserial', '-extfile', at(`${role}.ext`)]
    const files = ['-in', at(`${role}.csr`), '-out', at(`${role}-cert.pem`)]
    await exec('openssl', ['x509', '-req', '-days', '30', ...issuer, ...files])
    await chmod(at(`${role}-key.pem`), 0o600)
  }
  const read = (name: string) => readFile(at(name), 'utf8')
  const pair = async (role: string) => ({cert: await read(`${role}-cert.pem`), key: await read(`${role}-key.pem`)})
  const [server, client] = [await pair('server'), await pair('client')]
  await writeFile(at('cert.pem'), client.cert)
  await writeFile(at('key.pem'), client.key, {mode: 0o600})
  return {folder, ca: await read('ca.pem'), server, client}
}
