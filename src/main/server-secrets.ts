import {join} from 'node:path'
import {readSecretFile, writeSecretFile} from '../platform/files.ts'
import {randomSecret} from '../platform/ids.ts'

/** Keys of the server, one file each, made at the first start and kept outside the store (security T14). */
export interface ServerSecrets {
  /** The first signs login tokens; a second line is a former key that is still read. */
  tokenKeys: string[]
  vaultKey: string
}

export async function loadServerSecrets(
  directory: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ServerSecrets> {
  const tokenPath = env.GPUCTL_JWT_SECRET_FILE || join(directory, 'token-keys')
  const tokenKeys = (await readOrMake(tokenPath)).split('\n').filter(Boolean).slice(0, 2)
  const vaultKey = (await readOrMake(join(directory, 'vault-key'))).trim()
  return {tokenKeys, vaultKey}
}

async function readOrMake(path: string): Promise<string> {
  try {
    return await readSecretFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const made = `${randomSecret(32)}\n`
  await writeSecretFile(path, made)
  return made
}
