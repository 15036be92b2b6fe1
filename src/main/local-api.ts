import {join} from 'node:path'
import type {Agent} from '../agent/agent.ts'
import {readSecretFile, writeSecretFile} from '../platform/files.ts'
import {randomSecret} from '../platform/ids.ts'
import type {Logger} from '../platform/logger.ts'
import {CannotStart, FlagError, isLoopback, readAddress} from './settings.ts'

/** Document 004's port of the node agent. */
const defaultAddress = {host: '127.0.0.1', port: 9200}
/** In the agent's folder: what callers of the local API show. */
export const localApiTokenFile = 'local-api-token'

export interface LocalApiAddress {
  host: string
  port: number
  /** Nobody asked for it by name: where it is taken the agent does without. */
  isDefault: boolean
}

interface LocalApiParts {
  agent: Agent
  nodeId: string
  directory: string
  logger: Logger
  localApi?: LocalApiAddress
  /** URL of the control server that decides what runs here. */
  owner?: string
  sharedFolders?: readonly string[]
}

/** What `--local-api` says: `none`, HOST:PORT, or nothing. Throws FlagError. */
export function readLocalApi(text: string | undefined): LocalApiAddress | undefined {
  if (text === 'none') return undefined
  if (text === undefined) return {...defaultAddress, isDefault: true}
  return {...readAddress(text, '--local-api'), isDefault: false}
}

/** Absolute folders. Throws FlagError. */
export function checkSharedFolders(folders: readonly string[] | undefined, isStandalone: boolean): void {
  for (const folder of folders ?? []) {
    if (!isStandalone) throw new FlagError('--share-folder means something only with --standalone.')
    if (!folder.startsWith('/')) throw new FlagError(`--share-folder: ${folder} is not an absolute path.`)
  }
}

/** Starts the agent, then its local API; where that cannot listen the agent ends again, and its folder is free. */
export async function startWithLocalApi(
  parts: LocalApiParts & {lock: {release(): Promise<void>}},
): Promise<{localApi: string | undefined; stop(): Promise<void>}> {
  const {agent, lock} = parts
  const stop = async () => {
    await agent.stop()
    await lock.release()
  }
  try {
    await agent.start()
    const api = await openLocalApi(parts)
    return {
      localApi: api?.url,
      async stop() {
        await api?.close()
        await stop()
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Undefined where it is not wanted, or its usual address is taken. Throws CannotStart for an address that was named. */
async function openLocalApi(parts: LocalApiParts): Promise<{url: string; close(): Promise<void>} | undefined> {
  const {agent, nodeId, directory, logger, localApi, owner, sharedFolders = []} = parts
  if (!localApi) return undefined
  const [{LocalApi}, {LocalContainers}] = await Promise.all([
    import('../agent/local-api/server.ts'),
    import('../agent/local-api/containers.ts'),
  ])
  const containers = new LocalContainers({agent, nodeId, sharedFolders, owner})
  const token = await readToken(join(directory, localApiTokenFile))
  const api = new LocalApi({agent, containers, token, logger})
  const {host, port, isDefault} = localApi
  try {
    const url = await api.listen({host, port})
    logger.info({url, tokenFile: join(directory, localApiTokenFile)}, 'the local API listens')
    if (!isLoopback(host))
      logger.warn({url}, 'the local API is not encrypted: whoever listens on the way has its token')
    return {url, close: () => api.close()}
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (isDefault) {
      logger.info({host, port, code}, 'the address of the local API is taken: the agent does without it')
      return undefined
    }
    const hint = 'Choose another one with --local-api HOST:PORT, or none.'
    throw new CannotStart(`The local API cannot listen on ${host}:${port} (${code}).`, hint, {cause: error})
  }
}

/** Made once and kept. */
async function readToken(path: string): Promise<string> {
  const known = await readSecretFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (known?.trim()) return known.trim()
  const token = `gpa_${randomSecret(32)}`
  await writeSecretFile(path, `${token}\n`)
  return token
}
