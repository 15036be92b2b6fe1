import {problem} from './errors.ts'
import type {SettingTable} from './ports.ts'

/** What is tried first by everybody; the documents' own defaults among them (security T12). */
const weak = new Set(
  `admin administrator password passw0rd p@ssw0rd test testtest 12345678 123456789 1234567890 11111111 00000000 87654321
  qwertyui qwertyuiop qwerty123 iloveyou letmein1 welcome1 admin123 admin1234 admin12345 adminadmin root1234 rootroot
  changeme changeit default1 secret12 abc12345 abcd1234 1q2w3e4r 1qaz2wsx zaq12wsx asdfghjk asdfasdf sunshine princess
  football baseball superman trustno1 gpuctl gpuctladmin dragon12 monkey12 master12 computer internet`.split(/\s+/),
)

/** For an administrator whom others on the network can reach (security T12). */
export const leastAdminLength = 12

/** Where the store keeps why a user's password will not do for such an administrator; absent or empty: it does. */
export function weaknessSetting(userId: string): string {
  return `password_weakness:${userId}`
}

/** Keeps that for the next start, which knows hashes only. In the transaction that changes the password. */
export async function noteWeakness(settings: SettingTable, userId: string, username: string, password: string) {
  const weakness = weaknessOf(password, username, leastAdminLength) ?? ''
  const known = (await settings.get(weaknessSetting(userId))) ?? ''
  if (weakness !== known) await settings.set(weaknessSetting(userId), weakness)
}

/** Throws password_weak. */
export function checkPassword(password: string, username: string): void {
  const reason = weaknessOf(password, username)
  if (reason) throw problem('password_weak', {problem: reason})
}

/** Why the password must not be used, or undefined. Administrators of servers that others can reach need twelve characters. */
export function weaknessOf(password: string, username: string, leastLength = 8): string | undefined {
  if ([...password].length < leastLength) return `it has fewer than ${leastLength} characters.`
  if (weak.has(password.toLowerCase())) return 'it is one of the first that everybody tries.'
  if (password.toLowerCase() === username.toLowerCase()) return 'it is the user name.'
  if (new Set(password).size === 1) return 'it is one character, repeated.'
  return undefined
}
