import {join} from 'node:path'
import ssh2 from 'ssh2'
import {readSecretFile, writeSecretFile} from '../../platform/files.ts'

/** The key by which clients know the jump host again: ed25519, made once and kept with mode 0600. */
export async function loadHostKey(directory: string): Promise<string> {
  const path = join(directory, 'ssh-host-key')
  try {
    return await readSecretFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const {private: made} = ssh2.utils.generateKeyPairSync('ed25519', {comment: 'gpuctl'})
  await writeSecretFile(path, made)
  return made
}

/** As a line of known_hosts has it behind the host: type and base64. */
export function publicKeyOf(hostKey: string): {line: string; blob: Buffer} {
  const key = ssh2.utils.parseKey(hostKey)
  if (key instanceof Error) throw new Error(`The SSH host key cannot be read: ${key.message}`, {cause: key})
  const blob = key.getPublicSSH()
  return {line: `${key.type} ${blob.toString('base64')}`, blob}
}
