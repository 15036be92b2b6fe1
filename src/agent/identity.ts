import {readSecretFile, writeSecretFile} from '../platform/files.ts'

/** Who this agent is to its server. The key is a secret: the file is 0600. */
export interface Identity {
  server: string
  serverId: string
  nodeId: string
  name: string
  nodeKey: string
}

export async function loadIdentity(path: string): Promise<Identity | undefined> {
  try {
    return JSON.parse(await readSecretFile(path)) as Identity
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export function saveIdentity(path: string, identity: Identity): Promise<void> {
  return writeSecretFile(path, `${JSON.stringify(identity, null, 2)}\n`)
}
