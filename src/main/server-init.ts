import {existsSync} from 'node:fs'
import {join} from 'node:path'
import {loadHostKey} from '../gateway/ssh/host-key.ts'
import {ensurePrivateDirectory} from '../platform/files.ts'
import {lockDirectory} from '../platform/lock.ts'
import {Passwords} from '../platform/passwords.ts'
import {openStore} from '../store/open.ts'
import {makeFirstAdmin, ownId, refuseWeakAdmins} from './first-start.ts'
import {firstPasswordFile, serverDirectory} from './local-fleet.ts'
import {fingerprintOf, ownCertificate} from './own-certificate.ts'
import {explainLock} from './serve.ts'
import {type ServerConfig, writeServerConfig} from './server-config.ts'
import {readServerFlags} from './server-options.ts'
import {loadServerSecrets} from './server-secrets.ts'

export interface InitDone {
  directory: string
  /** Paths that were made or changed now. */
  made: string[]
  store: 'sqlite' | 'postgres'
  serverId: string
  /** Where the random password of the administrator lies until somebody takes it; null where it was given, or taken. */
  passwordFile: string | null
  /** SHA-256 of the server's own certificate; null without one. */
  fingerprint: string | null
}

/**
 * Makes what the first start makes – folder, keys, store, administrator – and the file of settings, and starts nothing. Again
 * it makes what is missing and writes the settings anew.
 */
export async function initServer(options: {
  data?: string
  database?: string
  config: ServerConfig
  /** Of the first administrator; a random one unless given. */
  password?: string
  env: NodeJS.ProcessEnv
}): Promise<InitDone> {
  const {data, database, config, password, env} = options
  const {addresses, exposed} = await readServerFlags(config)
  const directory = serverDirectory(data)
  await ensurePrivateDirectory(directory)
  const lock = await explainLock(lockDirectory(directory))
  try {
    const names = ['server.db', 'token-keys', 'vault-key', 'ssh-host-key', 'tls.pem', firstPasswordFile]
    const missing = names.filter(name => !existsSync(join(directory, name)))
    const store = await openStore({at: database ?? join(directory, 'server.db'), onFatal: refuse})
    try {
      await loadServerSecrets(directory, env)
      const serverId = await ownId(store)
      await makeFirstAdmin({store, passwords: new Passwords(), directory, env, exposed, given: password})
      await refuseWeakAdmins(store, exposed)
      if (config.sshPort !== 0) await loadHostKey(directory)
      const fingerprint = config.selfSigned ? fingerprintOf(await ownCertificate(directory, addresses)) : null
      const written = await writeServerConfig(config, data)
      const made = missing.map(name => join(directory, name)).filter(existsSync)
      if (written.changed) made.push(written.path)
      const passwordFile = join(directory, firstPasswordFile)
      return {
        ...{directory, made, store: store.facts.name, serverId, fingerprint},
        passwordFile: existsSync(passwordFile) ? passwordFile : null,
      }
    } finally {
      await store.close()
    }
  } finally {
    await lock.release()
  }
}

function refuse(error: unknown): never {
  throw error
}
