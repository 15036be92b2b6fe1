import {join} from 'node:path'
import type {Caller} from '../domain/caller.ts'
import type {Store, UserRecord} from '../domain/ports.ts'
import type {Services} from '../domain/services/services.ts'
import {leastAdminLength, noteWeakness, weaknessOf, weaknessSetting} from '../domain/weak-passwords.ts'
import {readSecretFile, writeSecretFile} from '../platform/files.ts'
import {randomSecret, sha256Hex} from '../platform/ids.ts'
import type {Passwords} from '../platform/passwords.ts'
import {firstPasswordFile, localTokenFile} from './local-fleet.ts'
import {CannotStart} from './settings.ts'

const adminName = 'admin'
const localTokenName = 'local'

export interface FirstStart {
  store: Store
  services: Services
  passwords: Passwords
  directory: string
  env: NodeJS.ProcessEnv
  /** Somebody on another machine can reach the server. */
  exposed: boolean
}

/**
 * Makes the first administrator when there is none: with the password of GPUCTL_ADMIN_PASSWORD_FILE, else with a random one,
 * which is returned and also left in a 0600 file for the program that started the server. There are no default
 * credentials. Then sees to the token with which commands on this machine reach their own server.
 */
export async function prepareFirstStart(parts: FirstStart): Promise<{password?: string}> {
  const made = await makeFirstAdmin(parts)
  const admins = await refuseWeakAdmins(parts.store, parts.exposed)
  if (admins[0]) await keepLocalToken(parts, admins[0])
  return made
}

type AdminParts = Omit<FirstStart, 'services'> & {
  /** The password, where it comes from neither the variable nor chance. */
  given?: string
}

/** Where there is nobody yet. Answers the password if it is a random one. */
export async function makeFirstAdmin(parts: AdminParts): Promise<{password?: string}> {
  const users = await parts.store.users.list()
  return users.length === 0 ? makeAdmin(parts) : {}
}

/** Throws CannotStart where others can reach a server whose administrator has a weak password. All administrators. */
export async function refuseWeakAdmins(store: Store, exposed: boolean): Promise<UserRecord[]> {
  const admins = (await store.users.list()).filter(user => user.role === 'super_admin' && user.enabled)
  for (const {id, username} of exposed ? admins : []) {
    const weakness = await store.settings.get(weaknessSetting(id))
    if (!weakness) continue
    throw new CannotStart(
      `The password of ${username} is too weak for an address that others can reach: ${weakness}`,
      'Change it first, or listen on 127.0.0.1.',
    )
  }
  return admins
}

async function makeAdmin({
  store,
  passwords,
  directory,
  env,
  exposed,
  given: typed,
}: AdminParts): Promise<{password?: string}> {
  const file = env.GPUCTL_ADMIN_PASSWORD_FILE
  const given = typed ?? (file ? (await readSecretFile(file)).trim() : undefined)
  const password = given ?? randomSecret(15)
  const weakness = weaknessOf(password, adminName, leastAdminLength)
  if (exposed && weakness)
    throw new CannotStart(
      `The password ${typed === undefined ? `in ${file} ` : ''}is too weak for an address that others can reach: ${weakness}`,
      'Give another one: 12 characters or more.',
    )
  const at = new Date().toISOString()
  const passwordHash = await passwords.hash(password)
  await store.transaction(async tx => {
    const {id} = await tx.users.insert({
      id: crypto.randomUUID(),
      createdAt: at,
      updatedAt: at,
      username: adminName,
      role: 'super_admin',
      enabled: true,
      gpuQuota: null,
      maxPriority: 100,
      passwordHash,
      tokenVersion: 1,
    })
    await noteWeakness(tx.settings, id, adminName, password)
  })
  if (given !== undefined) return {}
  await writeSecretFile(join(directory, firstPasswordFile), `${password}\n`)
  return {password}
}

async function keepLocalToken({store, services, directory}: FirstStart, admin: UserRecord): Promise<void> {
  const path = join(directory, localTokenFile)
  const kept = await readSecretFile(path).catch(() => undefined)
  if (kept && (await store.tokens.findBySecretHash(sha256Hex(kept.trim())))) return
  const caller: Caller = {
    id: admin.id,
    username: admin.username,
    role: admin.role,
    scopes: ['read', 'write'],
    credential: 'login',
    credentialId: 'server-start',
    expiresAt: null,
    requestId: 'server-start',
    address: '',
  }
  const former = (await store.tokens.listOf(admin.id)).find(token => token.name === localTokenName)
  if (former) await services.tokens.revoke({id: former.id}, caller)
  const {secret} = await services.tokens.create({name: localTokenName, scopes: ['read', 'write']}, caller)
  await writeSecretFile(path, `${secret}\n`)
}

/** Made at the first start; containers carry it in their labels. */
export async function ownId(store: Store): Promise<string> {
  const known = await store.settings.get('server_id')
  if (known) return known
  const made = crypto.randomUUID()
  await store.transaction(tx => tx.settings.set('server_id', made))
  return made
}
