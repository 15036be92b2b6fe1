import {problem} from '../domain/errors.ts'
import {checkPassword, noteWeakness} from '../domain/weak-passwords.ts'
import {randomSecret} from '../platform/ids.ts'
import {Passwords} from '../platform/passwords.ts'
import {besideServer, findStore, localActor, type ServerPlace} from './beside.ts'
import {CannotStart} from './settings.ts'

export interface PasswordReset {
  id: string
  username: string
  role: string
  /** The random one that was made; null where one was given. */
  password: string | null
}

/**
 * Gives a user of the server on this machine another password, in the store itself, whether the server runs or not. All
 * logins and sessions of the user end; a disabled user is enabled where that is asked for.
 */
export async function resetPassword(
  options: ServerPlace & {username: string; password?: string; enable: boolean},
): Promise<PasswordReset> {
  const {username, enable} = options
  const {at} = await findStore(options)
  return besideServer(at, async ({store, journal}) => {
    const found = await store.users.findByName(username)
    if (!found) {
      const names = (await store.users.list()).filter(({role}) => role === 'super_admin').map(one => one.username)
      throw new CannotStart(`There is no user ${username}.`, `Administrators: ${names.join(', ') || 'none'}.`, {
        exitCode: 3,
      })
    }
    if (!found.enabled && !enable)
      throw new CannotStart(`${found.username} is disabled.`, 'Give --enable, too.', {exitCode: 5})
    const password = options.password ?? randomSecret(15)
    checkPassword(password, found.username)
    const passwordHash = await new Passwords().hash(password)
    await journal.change(async (tx, record) => {
      const before = await tx.users.lock(found.id)
      if (!before) throw problem('not_found', {kind: 'user', name: username})
      const updatedAt = new Date().toISOString()
      const enabled = before.enabled || enable
      await tx.users.save({...before, passwordHash, enabled, tokenVersion: before.tokenVersion + 1, updatedAt})
      await noteWeakness(tx.settings, before.id, before.username, password)
      const actor = localActor()
      const named = {id: before.id, name: before.username}
      const message = `User ${before.username}: password reset on the machine of the server.`
      await record.event('user', named, 'Changed', message, actor.username)
      await record.audit(actor, 'users.resetPassword', before.id, {username: before.username, enable})
    })
    const {id, role} = found
    return {id, username: found.username, role, password: options.password === undefined ? password : null}
  })
}
