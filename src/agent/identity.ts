import {readFile} from 'node:fs/promises'
import {refuseIfExposed, writeSecretFile} from '../platform/files.ts'

/** Who this agent is to its server. The key is a secret: the file is 0600. */
export interface Identity {
  server: string
  serverId: string
  nodeId: string
  name: string
  nodeKey: string
}

export async function loadIdentity(path: string): Promise<Identity | undefined> {
  let text: string
  try {
    await refuseIfExposed(path)
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  return JSON.parse(text) as Identity
}

export function saveIdentity(path: string, identity: Identity): Promise<void> {
  return writeSecretFile(path, `${JSON.stringify(identity, null, 2)}\n`)
}
