import {readFile} from 'node:fs/promises'
import {FlagError, isLoopback, readAddress} from './settings.ts'

export interface ServerFlags {
  listen?: string
  alsoListen?: string[]
  data?: string
  database?: string
  tlsCert?: string
  tlsKey?: string
  /** With a certificate of our own, made at the first start. */
  selfSigned?: boolean
  sshPort?: number
}

export interface ServerOptions {
  /** The first is the main one. */
  addresses: {host: string; port: number}[]
  tls: {cert: string; key: string} | 'self-signed' | undefined
  /** Somebody on another machine can reach it. */
  exposed: boolean
}

export const defaultListen = '127.0.0.1:8888'

/** Flags as the server needs them. Throws FlagError that names the flag and what would be right. */
export async function readServerFlags(flags: ServerFlags): Promise<ServerOptions> {
  const addresses = [
    readAddress(flags.listen ?? defaultListen),
    ...(flags.alsoListen ?? []).map(text => readAddress(text, '--also-listen')),
  ]
  if (Boolean(flags.tlsCert) !== Boolean(flags.tlsKey)) throw new FlagError('--tls-cert and --tls-key belong together.')
  if (flags.selfSigned && flags.tlsCert) throw new FlagError('--tls is without --tls-cert: it makes its own.')
  const tls =
    flags.tlsCert && flags.tlsKey
      ? {cert: await readPem(flags.tlsCert, '--tls-cert'), key: await readPem(flags.tlsKey, '--tls-key')}
      : flags.selfSigned
        ? ('self-signed' as const)
        : undefined
  return {addresses, tls, exposed: addresses.some(({host}) => !isLoopback(host))}
}

async function readPem(path: string, flag: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(error => {
    throw new FlagError(`${flag}: ${path} cannot be read (${error.code ?? error.message}).`)
  })
  if (!text.includes('-----BEGIN ')) throw new FlagError(`${flag}: ${path} is not a PEM file.`)
  return text
}
