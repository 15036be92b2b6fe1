import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {writeFileAtomic} from '../platform/files.ts'
import {serverDirectory} from './local-fleet.ts'
import type {ServerFlags} from './server-options.ts'
import {CannotStart} from './settings.ts'

const fileName = 'config.json'

/** How the server of this folder starts where its flags and variables do not say. No secrets: the URL of a database is none of it. */
export type ServerConfig = Pick<ServerFlags, 'listen' | 'alsoListen' | 'tlsCert' | 'tlsKey' | 'selfSigned' | 'sshPort'>

const shapes: Record<keyof ServerConfig, (value: unknown) => boolean> = {
  listen: value => typeof value === 'string',
  alsoListen: value => Array.isArray(value) && value.every(one => typeof one === 'string'),
  tlsCert: value => typeof value === 'string',
  tlsKey: value => typeof value === 'string',
  selfSigned: value => typeof value === 'boolean',
  sshPort: value => Number.isInteger(value),
}

/** What `server init` wrote; empty where it did not. Throws CannotStart for a file that cannot be meant so. */
export async function readServerConfig(data?: string): Promise<ServerConfig> {
  const path = configPath(data)
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}'
    throw error
  })
  const trouble = (words: string) => new CannotStart(`${path}: ${words}`, 'Correct it, or make it anew: server init.')
  let config: Record<string, unknown>
  try {
    config = JSON.parse(text)
  } catch (error) {
    throw trouble(`is no JSON (${(error as Error).message}).`)
  }
  for (const [name, value] of Object.entries(config)) {
    const fits = Object.hasOwn(shapes, name) ? shapes[name as keyof ServerConfig] : undefined
    if (!fits) throw trouble(`${name} is no setting of it; there are ${Object.keys(shapes).join(', ')}.`)
    if (!fits(value)) throw trouble(`${name} cannot be ${JSON.stringify(value)}.`)
  }
  return config as ServerConfig
}

/** Answers the path, and whether something in it changed. */
export async function writeServerConfig(
  config: ServerConfig,
  data?: string,
): Promise<{path: string; changed: boolean}> {
  const path = configPath(data)
  const text = `${JSON.stringify(config, undefined, 2)}\n`
  if ((await readFile(path, 'utf8').catch(() => '')) === text) return {path, changed: false}
  await writeFileAtomic(path, text, {mode: 0o600})
  return {path, changed: true}
}

function configPath(data?: string): string {
  return join(serverDirectory(data), fileName)
}

/**
 * Flags that were given, then the file, then the flags' defaults. A certificate of the flags puts aside all that the file says
 * of TLS.
 */
export function withConfig<F extends ServerFlags>(flags: F, given: (name: string) => boolean, config: ServerConfig): F {
  const {listen, alsoListen, sshPort, tlsCert, tlsKey, selfSigned} = config
  const isTlsGiven = Boolean(flags.selfSigned || flags.tlsCert || flags.tlsKey)
  return {
    ...flags,
    ...(listen !== undefined && !given('listen') ? {listen} : {}),
    ...(alsoListen !== undefined && !given('also-listen') ? {alsoListen} : {}),
    ...(sshPort !== undefined && !given('ssh-port') ? {sshPort} : {}),
    ...(isTlsGiven ? {} : {tlsCert, tlsKey, selfSigned: Boolean(selfSigned)}),
  }
}
