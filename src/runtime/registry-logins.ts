import {readFile} from 'node:fs/promises'
import {homedir} from 'node:os'
import {join} from 'node:path'
import {exec} from '../platform/exec.ts'

/** As the Docker Engine takes it in X-Registry-Auth. */
export type RegistryLogin = {serveraddress: string} & ({username: string; password: string} | {identitytoken: string})

/** Where `docker login` keeps what it was given: DOCKER_CONFIG, else `.docker` in the home of who runs this. */
export function loginsFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env.DOCKER_CONFIG || join(homedir(), '.docker')
}

/** Docker Hub has an address of its own among the logins. */
const hub = 'https://index.docker.io/v1/'
const helperMs = 10_000

interface DockerConfig {
  auths?: Record<string, {auth?: string; identitytoken?: string}>
  credsStore?: string
  credHelpers?: Record<string, string>
}

/** Host and port of the image's registry, `docker.io` where it names none (as `docker pull` reads it). */
export function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/')
  return rest.length > 0 && (/[.:]/.test(first) || first === 'localhost') ? first : 'docker.io'
}

/**
 * What `docker login` on this machine kept for the registry of the image, in `config.json` or with a helper (Docker's
 * docs, "docker login": credential stores). Undefined when there is none, or nothing that can be read.
 */
export async function loginFor(image: string, folder: string): Promise<RegistryLogin | undefined> {
  const registry = registryOf(image)
  const address = registry === 'docker.io' ? hub : registry
  const {auths = {}, credsStore, credHelpers = {}} = await readConfig(join(folder, 'config.json'))
  const helper = valueFor(credHelpers, address) ?? credsStore
  if (helper) return askHelper(helper, address)
  const kept = valueFor(auths, address)
  if (kept?.identitytoken) return {serveraddress: address, identitytoken: kept.identitytoken}
  const [, username, password] = /^([^:]+):(.+)$/s.exec(Buffer.from(kept?.auth ?? '', 'base64').toString('utf8')) ?? []
  return username && password ? {serveraddress: address, username, password} : undefined
}

async function readConfig(path: string): Promise<DockerConfig> {
  try {
    return (JSON.parse(await readFile(path, 'utf8')) ?? {}) as DockerConfig
  } catch {
    return {}
  }
}

/** Keys are hosts, or addresses as older clients wrote them. */
function valueFor<T>(values: Record<string, T>, address: string): T | undefined {
  const host = (key: string) => key.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return Object.entries(values).find(([key]) => host(key) === host(address))?.[1]
}

async function askHelper(helper: string, address: string): Promise<RegistryLogin | undefined> {
  if (!/^[\w.-]+$/.test(helper)) return undefined
  try {
    const {code, stdout} = await exec(`docker-credential-${helper}`, ['get'], {input: address, timeoutMs: helperMs})
    const {Username: username, Secret: password} = JSON.parse(code === 0 ? stdout : '{}')
    if (typeof username !== 'string' || typeof password !== 'string') return undefined
    return username === '<token>'
      ? {serveraddress: address, identitytoken: password}
      : {serveraddress: address, username, password}
  } catch {
    return undefined
  }
}
