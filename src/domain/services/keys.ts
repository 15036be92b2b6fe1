import type {InputOf} from '../../contract/contract.ts'
import type {SshKey} from '../../contract/schemas/keys.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import type {SshKeyRecord} from '../ports.ts'
import {readPublicKey} from '../ssh-key.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {findersAmong, resolve} from './references.ts'
import type {Services} from './services.ts'

const mostKeys = 100
/** How long an expired key stays: the deletion of a key ends the sessions that it opened. */
const keptMs = 7 * 24 * 3_600_000

/** Public keys of users, for the jump host. */
export class KeyService {
  readonly #deps: ServiceDependencies

  constructor(deps: ServiceDependencies) {
    this.#deps = deps
  }

  methods(): Services['keys'] {
    const {store, clock} = this.#deps
    return {
      list: async (_, caller) =>
        (await store.sshKeys.listOf(caller.id)).filter(key => !hasExpired(key, clock.now())).map(publicKey),
      create: (input, caller) => this.#create(input, caller),
      delete: ({id}, caller) => this.#delete(id, caller),
    }
  }

  async #create({key, name: asked, ttlSeconds}: InputOf<'keys.create'>, caller: Caller): Promise<SshKey> {
    const {journal, clock, secrets} = this.#deps
    const read = readPublicKey(key)
    const name = asked ?? nameFor(read)
    const now = clock.now()
    const at = new Date(now).toISOString()
    const expiresAt = ttlSeconds === undefined ? null : new Date(now + ttlSeconds * 1000).toISOString()
    const made = await journal.change(async (tx, record) => {
      await tx.users.lock(caller.id)
      const known = await tx.sshKeys.listOf(caller.id)
      for (const one of known) if (hasExpired(one, now - keptMs)) await tx.sshKeys.delete(one.id)
      const own = known.filter(one => !hasExpired(one, now))
      const same = own.find(one => one.fingerprint === read.fingerprint)
      if (same) throw problem('key_taken', {name: same.name})
      if (own.some(one => one.name === name)) throw problem('name_taken', {kind: 'key', name})
      if (own.length >= mostKeys) throw problem('too_many', {what: 'keys: delete one first', seconds: 0})
      const row = {id: secrets.uuid(), createdAt: at, updatedAt: at, name, owner: caller.username, ownerId: caller.id}
      const made = await tx.sshKeys.insert({...row, ...read, expiresAt})
      await note(record, made, 'KeyAdded', caller)
      await record.audit(caller, 'keys.create', made.id, {name, fingerprint: made.fingerprint, expiresAt})
      return made
    })
    return publicKey(made)
  }

  async #delete(reference: string, caller: Caller): Promise<{done: true}> {
    const {store, journal} = this.#deps
    const finders = findersAmong(
      'key',
      () => store.sshKeys.listOf(caller.id),
      one => one.name,
    )
    const key = await resolve(reference, finders)
    await journal.change(async (tx, record) => {
      await tx.sshKeys.delete(key.id)
      await note(record, key, 'KeyDeleted', caller)
      await record.audit(caller, 'keys.delete', key.id, {name: key.name, fingerprint: key.fingerprint})
    })
    return {done: true}
  }
}

/** As an event of its owner: sessions are looked at again when something happens to their user. */
async function note(
  record: Parameters<Parameters<ServiceDependencies['journal']['change']>[0]>[1],
  {name, fingerprint}: {name: string; fingerprint: string},
  type: 'KeyAdded' | 'KeyDeleted',
  {id, username}: Caller,
): Promise<void> {
  const words = `${username} ${type === 'KeyAdded' ? 'added' : 'deleted'} the SSH key ${name} (${fingerprint}).`
  await record.event('user', {id, name: username}, type, words, username)
}

/** The comment where it can be a name, else the beginning of the fingerprint. */
function nameFor({comment, fingerprint}: {comment: string; fingerprint: string}): string {
  const name = comment.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
  return name !== '' && name.length <= 63
    ? name
    : `key-${fingerprint
        .slice(7)
        .replace(/[^A-Za-z0-9]/g, '')
        .slice(0, 8)}`
}

/** Rows of before there was an end have none. */
export function hasExpired({expiresAt}: Partial<Pick<SshKeyRecord, 'expiresAt'>>, nowMs: number): boolean {
  return Boolean(expiresAt) && Date.parse(expiresAt ?? '') <= nowMs
}

function publicKey({ownerId: _, base64: __, ...key}: SshKeyRecord): SshKey {
  return {...key, expiresAt: key.expiresAt ?? null}
}
