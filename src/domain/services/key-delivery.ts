import {problem} from '../errors.ts'
import {type JoinDesk, joinLimits} from '../join-desk.ts'
import type {NodeRecord} from '../records.ts'
import {readSetting} from '../server-settings.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Peer} from './services.ts'
import {newSecret} from './tokens.ts'

/** How the key of an admitted node reaches its machine (security 3.1, items 2 and 3). */
export class KeyDelivery {
  readonly #deps: ServiceDependencies
  readonly #desk: JoinDesk
  readonly #keyChanged: (nodeId: string) => void

  constructor(deps: ServiceDependencies, parts: {desk: JoinDesk; keyChanged: (nodeId: string) => void}) {
    this.#deps = deps
    this.#desk = parts.desk
    this.#keyChanged = parts.keyChanged
  }

  /**
   * To who has the poll secret. The key is made when it is fetched; fetched again before its first use it replaces the
   * former, fetched after it the node is suspended: somebody else has the secret.
   */
  async deliver(id: string, pollSecretHash: string, peer: Peer): Promise<{nodeKey: string; name: string}> {
    const {journal, secrets} = this.#deps
    const nodeKey = newSecret('gpn', secrets)
    const outcome = await journal.change(async (tx, record) => {
      const node = await tx.nodes.find(id)
      if (
        !node?.code ||
        node.admission !== 'active' ||
        node.pollSecretHash !== pollSecretHash ||
        isOver(node, this.#now())
      )
        return 'gone'
      const named = {id, name: node.name}
      if (node.keyUsedAt !== null) {
        const reason = 'its key was fetched again after it had been used'
        await tx.nodes.save({
          ...node,
          code: null,
          codeExpiresAt: null,
          pollSecretHash: null,
          keyHash: null,
          suspendedReason: reason,
        })
        await record.event('node', named, 'security.key_redeemed_twice', `${node.name} is suspended: ${reason}.`)
        await record.audit(peer, 'nodes.joinStatus', id, {name: node.name, suspended: reason})
        return 'suspended'
      }
      const at = this.#now()
      // Fetching again does not make the time longer.
      const first = node.keyDeliveredAt === null
      const until = new Date(this.#deps.clock.now() + joinLimits.collectMs).toISOString()
      await tx.nodes.save({
        ...node,
        keyHash: secrets.sha256(nodeKey),
        keyDeliveredAt: node.keyDeliveredAt ?? at,
        codeExpiresAt: first ? until : node.codeExpiresAt,
        updatedAt: at,
      })
      await record.event('node', named, 'KeyDelivered', `${node.name} fetched its key.`)
      await record.audit(peer, 'nodes.joinStatus', id, {name: node.name})
      return {name: node.name, until: first ? until : undefined}
    })
    this.#keyChanged(id)
    if (outcome === 'gone') throw problem('code_unknown', {code: ''})
    if (outcome === 'suspended') {
      this.#desk.forget(id)
      throw problem('node_suspended', {reason: 'its key was fetched again after it had been used'})
    }
    if (outcome.until) this.#desk.approved(id, Date.parse(outcome.until))
    return {nodeKey, name: outcome.name}
  }

  /** Whether the server's rule gives the key to this caller by the code alone. */
  async isCodeEnough(node: NodeRecord, peer: Peer): Promise<boolean> {
    const {store, server} = this.#deps
    const {value} = await readSetting('join.legacy_poll', {settings: store.settings, server})
    return value === 'any' || (value === 'same-ip' && node.address === peer.address)
  }

  /** Where the code alone is enough: exactly once, and the code is gone with it (document 003). */
  async deliverOnce(id: string, peer: Peer): Promise<{nodeKey: string; name: string}> {
    const {journal, secrets} = this.#deps
    const nodeKey = newSecret('gpn', secrets)
    const name = await journal.change(async (tx, record) => {
      const node = await tx.nodes.find(id)
      const isReady =
        node?.code && node.admission === 'active' && !isOver(node, this.#now()) && node.keyDeliveredAt === null
      if (!isReady) throw problem('code_unknown', {code: ''})
      const at = this.#now()
      const spent = {code: null, codeExpiresAt: null, pollSecretHash: null}
      await tx.nodes.save({
        ...node,
        ...spent,
        keyHash: secrets.sha256(nodeKey),
        keyDeliveredAt: at,
        updatedAt: at,
      })
      await record.event('node', {id, name: node.name}, 'KeyDelivered', `${node.name} fetched its key by its code.`)
      await record.audit(peer, 'nodes.joinStatus', id, {name: node.name, by: 'code'})
      return node.name
    })
    this.#keyChanged(id)
    this.#desk.forget(id)
    return {nodeKey, name}
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}

/** The time of its code has run out. */
export function isOver({codeExpiresAt, code}: NodeRecord, now: string): boolean {
  return code !== null && codeExpiresAt !== null && codeExpiresAt <= now
}
