import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Node} from '../../contract/schemas/nodes.ts'
import {BlockedAddresses} from '../blocked-addresses.ts'
import type {Caller} from '../caller.ts'
import {isProblem, problem} from '../errors.ts'
import {JoinDesk, joinLimits} from '../join-desk.ts'
import type {Recorder} from '../journal.ts'
import type {Tables} from '../ports.ts'
import type {NodeRecord} from '../records.ts'
import {looksLikeCode, readCode} from '../registration-code.ts'
import {withStorageQuota} from '../storage-quota.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {isOver, KeyDelivery} from './key-delivery.ts'
import {findersAmong, resolve} from './references.ts'
import type {Peer} from './services.ts'
import {newSecret} from './tokens.ts'

const pollAfterMs = 1_000

/** What the other half of the node service does for this one. */
export interface JoiningLinks {
  describe(node: NodeRecord, caller: Caller): Promise<Node>
  keyChanged(nodeId: string): void
  admitted(node: NodeRecord): void
  dropped(nodeId: string): void
}

/** How a machine comes in: request, code, approval, key (security 3.1). */
export class Joining {
  readonly #deps: ServiceDependencies
  readonly #links: JoiningLinks
  readonly #desk: JoinDesk
  readonly #delivery: KeyDelivery
  readonly #blocked: BlockedAddresses
  #loaded: Promise<void> | undefined

  constructor(deps: ServiceDependencies, links: JoiningLinks) {
    this.#deps = deps
    this.#links = links
    this.#desk = new JoinDesk(deps)
    this.#blocked = new BlockedAddresses(deps)
    this.#delivery = new KeyDelivery(deps, {desk: this.#desk, keyChanged: id => links.keyChanged(id)})
  }

  async join(input: InputOf<'nodes.join'>, peer: Peer): Promise<OutputOf<'nodes.join'>> {
    const {secrets} = this.#deps
    const pollSecret = Buffer.from(secrets.random(32)).toString('base64url')
    const asked = await this.#ask(input, peer, {pollSecretHash: secrets.sha256(pollSecret)})
    const {id, number, code, codeExpiresAt} = asked
    return {requestId: id, number, code: code!, pollSecret, expiresAt: codeExpiresAt!, pollAfterMs}
  }

  /** As join, for machines that cannot poll: the key comes at once, and is good for beats alone until the approval (T4). */
  async register(input: InputOf<'nodes.join'>, peer: Peer): Promise<{id: string; number: number; nodeKey: string}> {
    const {secrets} = this.#deps
    const nodeKey = newSecret('gpn', secrets)
    const key = {keyHash: secrets.sha256(nodeKey), keyDeliveredAt: this.#now()}
    const {id, number} = await this.#ask(input, peer, key)
    return {id, number, nodeKey}
  }

  async #ask(input: InputOf<'nodes.join'>, peer: Peer, known: Partial<NodeRecord>): Promise<NodeRecord> {
    await this.#load()
    const {secrets, journal} = this.#deps
    const tokenHash = input.joinToken === undefined ? undefined : secrets.sha256(input.joinToken)
    // A join token is an administrator's word for the machine, wherever it asks from.
    if (tokenHash === undefined && this.#blocked.has(peer.address)) throw problem('join_blocked', {})
    const id = secrets.uuid()
    const {code, expiresAt: codeExpiresAt} = this.#desk.admit(id, peer.address, tokenHash !== undefined)
    try {
      const node = await journal.change(async (tx, record) => {
        const token = tokenHash && (await tx.joinTokens.use(tokenHash, this.#now()))
        const blocked = await tx.nodes.list({admission: 'blocked'})
        if (blocked.some(({hostname}) => hostname === input.hostname)) throw problem('join_blocked', {})
        if (tokenHash && (!token || token.admits === 'users')) throw problem('token_invalid', {})
        const fresh = {...this.#request(id, input, peer), ...known, code, codeExpiresAt}
        const {autoApprove = false, labels = {}} = token || {}
        let made = await tx.nodes.insert({...fresh, labels: {...fresh.labels, ...labels}})
        const words = `${made.hostname} asks to join from ${peer.address}.`
        await record.event('node', {id, name: made.hostname}, 'JoinRequested', words)
        await record.audit(peer, 'nodes.join', id, {hostname: made.hostname})
        if (autoApprove && token) made = await this.#admit(tx, record, made, `token ${token.name}`)
        return made
      })
      if (node.admission === 'active') {
        this.#desk.approved(id, Date.parse(node.codeExpiresAt!))
        this.#links.admitted(node)
      }
      return node
    } catch (error) {
      this.#desk.forget(id)
      throw error
    }
  }

  /** Unknown, expired and wrongly kept codes get one answer. `legacy`: where the server's rule allows, the code alone is enough. */
  async status(
    {code: text, pollSecret, legacy = false}: {code: string; pollSecret?: string; legacy?: boolean},
    peer: Peer,
  ): Promise<OutputOf<'nodes.joinStatus'>> {
    await this.#load()
    const {store, secrets, server} = this.#deps
    const code = text.replace(/[\s-]/g, '').toUpperCase()
    const secretHash = secrets.sha256(pollSecret ?? '')
    const found = await store.nodes.findByCode(code)
    const node = found?.codeExpiresAt && found.codeExpiresAt > this.#now() ? found : undefined
    const isRight = pollSecret !== undefined && node?.pollSecretHash === secretHash
    if (!isRight) this.#desk.checkAddress(peer.address)
    const mayAsk = isRight || (pollSecret === undefined && !this.#desk.isUnderAttack)
    if (!node || !mayAsk || node.admission === 'blocked') {
      await this.#noteMiss(peer)
      throw problem('code_unknown', {code: text})
    }
    const nothing = {nodeId: null, name: null, nodeKey: null, serverId: null}
    if (node.admission === 'pending') return {...nothing, status: 'pending'}
    const byCodeAlone = !isRight && legacy && (await this.#delivery.isCodeEnough(node, peer))
    if (!isRight && !byCodeAlone) return {...nothing, status: 'active'}
    const {nodeKey, name} = byCodeAlone
      ? await this.#delivery.deliverOnce(node.id, peer)
      : await this.#delivery.deliver(node.id, secretHash, peer)
    return {status: 'active', nodeId: node.id, name, nodeKey, serverId: server.id}
  }

  /** The numbers can be guessed, so this answers the admission and never the key. */
  async requestStatus(number: number, peer: Peer): Promise<NodeRecord['admission']> {
    await this.#load()
    this.#desk.checkAddress(peer.address)
    const node = await this.#deps.store.nodes.findByNumber(number)
    if (node && !(node.admission === 'pending' && this.#isOver(node))) return node.admission
    await this.#noteMiss(peer)
    throw problem('code_unknown', {code: number})
  }

  async approve({node: reference, ...rest}: InputOf<'nodes.approve'>, caller: Caller): Promise<Node> {
    await this.#load()
    const {id} = await this.#find(reference)
    return this.#approve(id, {...rest, reference}, caller)
  }

  async approveCode(
    {code: text, claimedAddress}: {code: string; claimedAddress?: string},
    caller: Caller,
  ): Promise<Node> {
    await this.#load()
    const code = readCode(text)
    const node = await this.#deps.store.nodes.findByCode(code)
    if (!node) throw problem('code_unknown', {code})
    return this.#approve(node.id, {reference: code, claimedAddress}, caller)
  }

  async #approve(
    id: string,
    wish: Omit<InputOf<'nodes.approve'>, 'node'> & {reference: string; claimedAddress?: string},
    caller: Caller,
  ): Promise<Node> {
    const {reference, expectHost, labels = {}, storageQuotaGb, claimedAddress} = wish
    const node = await this.#deps.journal.change(async (tx, record) => {
      const waiting = await tx.nodes.find(id)
      if (!waiting || this.#isOver(waiting)) throw problem('code_unknown', {code: reference})
      if (expectHost !== undefined && expectHost !== waiting.hostname) {
        throw problem('host_unexpected', {code: reference, found: waiting.hostname, expected: expectHost})
      }
      if (waiting.admission === 'active') {
        if (hasAlready(waiting, wish)) return waiting
        throw problem('node_not_pending', {name: waiting.name, status: 'active'})
      }
      if (waiting.admission === 'blocked' && waiting.keyHash === null) {
        throw problem('node_not_pending', {name: waiting.hostname, status: 'blocked, and has no key'})
      }
      const admitted = {
        ...(storageQuotaGb === undefined ? waiting : withStorageQuota(waiting, storageQuotaGb)),
        labels: {...waiting.labels, ...labels},
        claimedAddress: claimedAddress ?? waiting.claimedAddress,
        ownerId: waiting.ownerId ?? caller.id,
      }
      // A super administrator who is one no longer still administers what he admitted.
      await tx.nodeAdmins.assign(caller.id, id)
      const done = await this.#admit(tx, record, admitted, caller.username)
      const {name, hostname, address} = done
      if (storageQuotaGb !== undefined) {
        const words = `${caller.username} set the storage quota of ${name} to ${storageQuotaGb} GB of ${done.totalAvailableGb} GB.`
        await record.event('node', {id, name}, 'QuotaChanged', words, caller.username)
      }
      await record.audit(caller, 'nodes.approve', id, {name, hostname, address, storageQuotaGb: done.storageQuotaGb})
      return done
    })
    if (node.codeExpiresAt) this.#desk.approved(id, Date.parse(node.codeExpiresAt))
    this.#links.admitted(node)
    this.#deps.wake('queue', `node:${id}`)
    return this.#links.describe(node, caller)
  }

  async reject(
    {node: reference, reason = '', blockAddressSeconds: seconds}: InputOf<'nodes.reject'>,
    caller: Caller,
  ): Promise<{done: true}> {
    await this.#load()
    const {id} = await this.#find(reference)
    const blockedUntilMs = seconds === undefined ? undefined : this.#deps.clock.now() + seconds * 1_000
    const address = await this.#deps.journal.change(async (tx, record) => {
      const node = await tx.nodes.find(id)
      if (!node) throw problem('code_unknown', {code: reference})
      if (node.admission !== 'pending')
        throw problem('node_not_pending', {name: node.name || node.hostname, status: node.admission})
      await tx.nodes.delete(id)
      const {hostname, address} = node
      const until = blockedUntilMs === undefined ? undefined : new Date(blockedUntilMs).toISOString()
      if (blockedUntilMs !== undefined) await this.#blocked.keep(tx.settings, address, blockedUntilMs)
      const blocked = until ? ` Nothing may ask from ${address} until ${until}.` : ''
      const words = `${caller.username} refused ${hostname}${reason ? `: ${reason}` : ''}.${blocked}`
      await record.event('node', {id, name: hostname}, 'Rejected', words, caller.username)
      await record.audit(caller, 'nodes.reject', id, {hostname, reason, ...(until && {blockedAddress: address, until})})
      return address
    })
    if (blockedUntilMs !== undefined) this.#blocked.noted(address, blockedUntilMs)
    this.#links.dropped(id)
    this.#desk.forget(id)
    return {done: true}
  }

  forget(nodeId: string): void {
    this.#desk.forget(nodeId)
  }

  /** Drops requests whose time is over, and frees the codes of those that were fetched. */
  async sweep(): Promise<void> {
    await this.#load()
    const {journal} = this.#deps
    for (const id of this.#desk.expired()) {
      const isDropped = await journal.change(async (tx, record) => {
        const node = await tx.nodes.find(id)
        if (!node || !this.#isOver(node)) return false
        const isPending = node.admission === 'pending'
        if (isPending || node.keyDeliveredAt === null) {
          // One that was admitted and never came for its key cannot come any more: the machine asks anew.
          await tx.nodes.delete(id)
          const words = isPending
            ? `Nobody approved ${node.hostname} in time.`
            : `${node.name} was admitted, and did not fetch its key in time.`
          await record.event('node', {id, name: node.name || node.hostname}, 'JoinExpired', words)
          return true
        }
        await tx.nodes.save({...node, code: null, codeExpiresAt: null, pollSecretHash: null})
        return false
      })
      if (isDropped) this.#links.dropped(id)
      this.#desk.forget(id)
    }
  }

  #request(id: string, input: InputOf<'nodes.join'>, {address}: Peer): Omit<NodeRecord, 'number'> {
    return {
      ...emptyNode(id, this.#now()),
      hostname: input.hostname,
      address,
      claimedAddress: input.claimedAddress ?? '',
      fingerprint: input.fingerprint ?? '',
      gpuSummary: input.gpuSummary ?? '',
      os: input.os ?? '',
      agentVersion: input.agentVersion ?? '',
      labels: input.labels ?? {},
    }
  }

  /** Active under its hostname, or hostname-2 … when another node has it: nobody takes over a name (T3). */
  async #admit(tx: Tables, record: Recorder, node: NodeRecord, actor: string): Promise<NodeRecord> {
    const name = await freeName(tx, node.hostname)
    const nowMs = this.#deps.clock.now()
    const admitted = await tx.nodes.save({
      ...node,
      name,
      admission: 'active',
      codeExpiresAt: new Date(nowMs + joinLimits.collectMs).toISOString(),
      updatedAt: new Date(nowMs).toISOString(),
    })
    const words = `${actor} admitted ${node.hostname} (${node.address}) as ${name}.`
    await record.event('node', {id: node.id, name}, 'Approved', words, actor)
    return admitted
  }

  async #noteMiss(peer: Peer): Promise<void> {
    if (!this.#desk.miss(peer.address)) return
    const {journal, server} = this.#deps
    const words = 'More than 60 wrong codes in a minute: for a while a code alone tells nothing.'
    await journal.change((_, record) =>
      record.event('server', {id: server.id, name: 'server'}, 'security.code_guessing', words),
    )
  }

  /** By code, id, number or hostname; only what waits, or what has just been approved by the same code. */
  async #find(reference: string): Promise<NodeRecord> {
    const {nodes} = this.#deps.store
    const pending = (await nodes.list({admission: 'pending'})).filter(node => !this.#isOver(node))
    const waiting = [...pending, ...(await nodes.list({admission: 'blocked'}))]
    const compact = reference.replace(/[\s-]/g, '')
    if (looksLikeCode(compact)) {
      const byCode = await nodes.findByCode(compact.toUpperCase())
      if (byCode && !this.#isOver(byCode)) return byCode
    }
    try {
      return await resolve(
        reference,
        findersAmong(
          'node',
          async () => waiting,
          node => node.hostname,
        ),
      )
    } catch (error) {
      if (!isProblem(error, 'not_found')) throw error
    }
    const known = (await nodes.find(reference).catch(() => undefined)) ?? (await nodes.findActiveByName(reference))
    if (known?.admission === 'active') return known
    throw problem('code_unknown', {code: compact.length === 5 ? readCode(reference) : reference})
  }

  #isOver(node: NodeRecord): boolean {
    return isOver(node, this.#now())
  }

  #load(): Promise<void> {
    this.#loaded ??= this.#restore().catch(error => {
      this.#loaded = undefined
      throw error
    })
    return this.#loaded
  }

  async #restore(): Promise<void> {
    await this.#blocked.restore(this.#deps.store.settings)
    for (const {id, code, address, codeExpiresAt, admission} of await this.#deps.store.nodes.list()) {
      if (code && codeExpiresAt) this.#desk.restore(id, code, address, codeExpiresAt, admission === 'pending')
    }
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}

/** What was asked twice, as after a lost answer, is not refused. */
function hasAlready(node: NodeRecord, {labels = {}, storageQuotaGb}: Partial<InputOf<'nodes.approve'>>): boolean {
  const isLabelled = Object.entries(labels).every(([key, value]) => node.labels[key] === value)
  return isLabelled && (storageQuotaGb ?? node.storageQuotaGb) === node.storageQuotaGb
}

export async function freeName(tx: Tables, wanted: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted}-${number}`
    if (!(await tx.nodes.findActiveByName(name))) return name
  }
}

export function emptyNode(id: string, at: string): Omit<NodeRecord, 'number'> {
  return {
    id,
    createdAt: at,
    updatedAt: at,
    version: 0,
    name: '',
    hostname: '',
    admission: 'pending',
    kind: 'agent',
    schedulable: true,
    cordonReason: '',
    code: null,
    codeExpiresAt: null,
    pollSecretHash: null,
    keyHash: null,
    keyDeliveredAt: null,
    keyUsedAt: null,
    suspendedReason: '',
    address: '',
    claimedAddress: '',
    fingerprint: '',
    gpuSummary: '',
    os: '',
    agentVersion: '',
    labels: {},
    ownerId: null,
    docker: null,
    declaredGpus: null,
    inventory: null,
    storageQuotaGb: 0,
    totalAvailableGb: 1000,
  }
}
