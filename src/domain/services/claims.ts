import type {InputOf} from '../../contract/contract.ts'
import type {Claim, ClaimSpec, Explanation} from '../../contract/schemas/claims.ts'
import type {CatalogueEntry} from '../../contract/schemas/common.ts'
import type {Instance} from '../../contract/schemas/instances.ts'
import {allocationId} from '../allocation.ts'
import type {Caller} from '../caller.ts'
import {gpuCount, isFinal, livePhases, move, nameStem, newStatus} from '../claim.ts'
import {problem} from '../errors.ts'
import {explain, shapeOf, type Verdict} from '../placement.ts'
import type {New, Tables, UserRecord} from '../ports.ts'
import {checkPriority, checkQuota} from '../quota.ts'
import {codeAlphabet} from '../registration-code.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {reprioritize} from './priorities.ts'
import {type Finders, ownerSeen, resolve} from './references.ts'
import type {Services} from './services.ts'
import {type BindSites, noteMounts} from './site-mounts.ts'

/** Shapes of claims whose reason for waiting is remembered. */
const mostReasons = 1_000

type Submission = InputOf<'claims.submit'>

/** What an instance was made from, and what its owner notes of it. */
interface Origin {
  remark?: string
  catalogueImage?: CatalogueEntry
  catalogueSpec?: CatalogueEntry
  /** May be another one when the request comes again, and is the same request. */
  pricePerHour?: number
}

interface ClaimParts {
  findNode: (reference: string, caller: Caller) => Promise<{id: string}>
  /** Of an active one. */
  nameOfNode: (id: string) => string | undefined
  bindSites: BindSites
}

export class ClaimService {
  readonly #deps: ServiceDependencies
  readonly #parts: ClaimParts
  #reasons = {revision: -1, texts: new Map<string, string>()}

  constructor(deps: ServiceDependencies, parts: ClaimParts) {
    this.#deps = deps
    this.#parts = parts
  }

  methods(): Services['claims'] {
    return {
      submit: async (input, caller) => this.#shown((await this.submit(withoutShare(input), caller)).claim),
      list: (input, caller) => this.#list(input, caller),
      get: async ({id}, caller) => this.#shown(await this.find(id, caller)),
      explain: async ({id}, caller) => this.#explain(await this.find(id, caller)),
      explainSpec: (input, caller) => this.#explainSpec(input, caller),
      reprioritize: async ({id, priority}, caller) => {
        const claim = await this.find(id, caller)
        return this.#shown(await reprioritize(this.#deps, claim, priority, caller))
      },
      cancel: async ({id, ...how}, caller) => this.#shown(await this.cancel(id, caller, how)),
    }
  }

  /** Records what the user wants. Placing and starting it is the controllers' work. */
  async submit(
    {noQueue, dryRun, ...asked}: Submission,
    caller: Caller,
    extra: Origin = {},
  ): Promise<{claim: Claim; instance: Instance}> {
    const {store, journal, secrets, wake, clock} = this.#deps
    const spec = await this.#resolved(asked, caller)
    const {pricePerHour: _, ...origin} = extra
    const bodyHash = secrets.sha256(stableText({spec: asked, noQueue, dryRun, extra: origin}))
    // Before a check that the first request has passed, but this one might not. All others ask in their transaction.
    const repeated = noQueue || dryRun ? await this.#repeated(store, caller, bodyHash) : undefined
    if (repeated) return repeated
    if (noQueue) this.#checkNow(spec)
    const made = {claimId: secrets.uuid(), instanceId: secrets.uuid()}
    if (dryRun) {
      const user = await this.#checkAllowed(store, await store.users.find(caller.id), spec)
      const draft = this.#draft(spec, user, await this.#name(store, spec, user.id), made, extra)
      return {claim: {...draft.claim, number: 1}, instance: {...draft.instance, number: 1}}
    }
    const done = await journal.change(async (tx, record) => {
      const user = await this.#lockUser(tx, caller.id)
      const before = await this.#repeated(tx, caller, bodyHash)
      if (before) return before
      if (caller.idempotencyKey !== undefined) {
        // Before the name is looked at: the same request twice at once meets here, and the later one finds the claim.
        const at = new Date(clock.now()).toISOString()
        await tx.idempotency.insert({
          ownerId: caller.id,
          key: caller.idempotencyKey,
          bodyHash,
          resultId: made.claimId,
          at,
        })
      }
      const allowed = await this.#checkAllowed(tx, user, spec)
      const draft = this.#draft(spec, allowed, await this.#name(tx, spec, allowed.id), made, extra)
      const claim = await tx.claims.insert(draft.claim)
      await noteMounts(tx, claim)
      const instance = await tx.instances.insert(draft.instance)
      const words = `${caller.username} asks for ${gpuCount(spec)} GPUs to run ${spec.image}.`
      await record.event('claim', claim, 'Submitted', words, caller.username)
      await record.audit(caller, 'claims.submit', claim.id, {name: claim.name, image: spec.image, gpus: gpuCount(spec)})
      return {claim, instance}
    })
    wake('queue', `claim:${done.claim.id}`)
    return done
  }

  /** With ids of nodes and sites in place of how the caller named them. Sites bind the claim to their node. */
  async #resolved(asked: ClaimSpec, caller: Caller): Promise<ClaimSpec> {
    const node = asked.node === undefined ? undefined : (await this.#parts.findNode(asked.node, caller)).id
    const spec = node === undefined ? asked : {...asked, node}
    return spec.volumes && spec.volumes.length > 0 ? this.#parts.bindSites(spec, spec.volumes, caller) : spec
  }

  /**
   * Two submits of a user with a quota must not both see room, so they wait for each other until the COMMIT. Without a
   * quota they need not: names and keys are kept single by unique indexes.
   */
  async #lockUser(tx: Tables, id: string): Promise<UserRecord | undefined> {
    const known = await tx.users.find(id)
    if (known?.gpuQuota !== null) return tx.users.lock(id)
    const user = await tx.users.share(id)
    // The quota came meanwhile. To lock now what others share could block both.
    if (user && user.gpuQuota !== null) throw problem('changed_meanwhile', {kind: 'user', name: user.username})
    return user
  }

  /** A finished claim is answered as it is. */
  async cancel(
    reference: string,
    caller: Caller,
    {graceSeconds, keepVolumes = false}: {graceSeconds?: number; keepVolumes?: boolean} = {},
  ): Promise<Claim> {
    const {id} = await this.find(reference, caller)
    const {journal, wake, memory, secrets, clock} = this.#deps
    const nodes: string[] = []
    const claim = await journal.change(async (tx, record) => {
      const now = await tx.claims.find(id)
      if (!now) throw problem('not_found', {kind: 'claim', name: reference})
      if (isFinal(now.status.phase)) return now
      const at = new Date(clock.now()).toISOString()
      const wasBound = now.status.phase !== 'Pending'
      const done = await tx.claims.save(move(now, 'Released', at, {reason: 'Cancelled'}))
      const instance = await tx.instances.find(now.instanceId)
      if (instance) {
        const status = wasBound ? ('deleting' as const) : ('exited' as const)
        await tx.instances.save({
          ...instance,
          desired: 'deleted',
          status,
          reason: 'Cancelled',
          finishedAt: at,
          updatedAt: at,
        })
      }
      await record.event('claim', done, 'Cancelled', `${caller.username} cancelled ${done.name}.`, caller.username)
      await record.audit(caller, 'claims.cancel', id, {name: done.name, keepVolumes})
      nodes.push(...(keepVolumes ? [] : await tx.volumes.letGo(id)))
      nodes.push(...(await tx.instanceSnapshots.letGo(now.instanceId)))
      return done
    })
    for (const nodeId of nodes) wake('node', nodeId)
    memory.setGrace(allocationId(id, claim.status.epoch, secrets), graceSeconds)
    wake('queue', `claim:${id}`)
    wake('claim', id)
    if (claim.status.nodeId) wake('node', claim.status.nodeId)
    return claim
  }

  /** What belongs to others looks absent (T18). Of finished ones of a name the newest is meant. */
  find(reference: string, caller: Pick<Caller, 'id' | 'role'>): Promise<Claim> {
    const {claims} = this.#deps.store
    const ownerId = ownerSeen(caller)
    const seen = (claim: Claim | undefined) =>
      claim && (ownerId === undefined || claim.ownerId === ownerId) ? claim : undefined
    const finders: Finders<Claim> = {
      kind: 'claim',
      byId: async id => seen(await claims.find(id)),
      byNumber: async number => seen(await claims.findByNumber(number)),
      byName: async name => {
        const own = await claims.findLiveByName(caller.id, name)
        if (own) return [own]
        const live = await claims.list({ownerId, name, phases: livePhases, limit: 3})
        return live.length > 0 ? live : claims.list({ownerId, name, limit: 1})
      },
      byPrefix: prefix => claims.findByPrefix(prefix, ownerId, 3),
      nameOf: ({id, name}) => ({id, name}),
    }
    return resolve(reference, finders)
  }

  async #list({phase, all, live, name, limit, offset}: InputOf<'claims.list'>, caller: Caller): Promise<Claim[]> {
    const ownerId = all && ownerSeen(caller) === undefined ? undefined : caller.id
    const phases = phase ? [phase] : live ? livePhases : undefined
    const found = await this.#deps.store.claims.list({ownerId, phases, name, limit: limit ?? 100, offset})
    return found.map(claim => this.#shown(claim))
  }

  /** With what is derived: its node’s name of today, the place in the queue, and why it waits. */
  #shown({spec: kept, ...claim}: Claim): Claim {
    const node = kept.node === undefined ? undefined : (this.#parts.nameOfNode(kept.node) ?? kept.node)
    const spec = node === undefined ? kept : {...kept, node}
    if (claim.status.phase !== 'Pending') return {...claim, spec}
    const position = this.#deps.queue.position(claim.id)
    const reason = claim.status.reason || this.#waitingReason(kept)
    return {...claim, spec, status: {...claim.status, position, reason}}
  }

  /** Asking every node is remembered for claims of the same shape until an offer changes. */
  #waitingReason(spec: ClaimSpec): string {
    const {queue} = this.#deps
    if (queue.fits(spec)) return ''
    const revision = queue.revision()
    if (this.#reasons.revision !== revision || this.#reasons.texts.size >= mostReasons) {
      this.#reasons = {revision, texts: new Map()}
    }
    const shape = shapeOf(spec)
    const reason = this.#reasons.texts.get(shape) ?? this.#reasonNow(spec)
    this.#reasons.texts.set(shape, reason)
    return reason
  }

  #reasonNow(spec: ClaimSpec): string {
    const verdicts = explain(spec, this.#deps.queue.offers())
    if (verdicts.length === 0) return 'Unschedulable: there are no nodes'
    if (verdicts.some(({fits}) => fits)) return ''
    return `Unschedulable: ${summary(verdicts)}`
  }

  #explain(claim: Claim): Explanation {
    const {phase, nodeName} = claim.status
    if (phase !== 'Pending') {
      const words = isFinal(phase) ? `It is over (${phase}).` : `It was placed on ${nodeName}.`
      return {phase, position: null, waitingAhead: 0, verdict: words, possible: true, nodes: []}
    }
    const position = this.#deps.queue.position(claim.id)
    return this.#explained(claim.spec, position, (position ?? 1) - 1, phase)
  }

  async #explainSpec(input: ClaimSpec, caller: Caller): Promise<Explanation> {
    const {queue, clock} = this.#deps
    const spec = await this.#resolved(input, caller)
    const ahead = queue.countAhead({number: Number.MAX_SAFE_INTEGER, createdAtMs: clock.now(), spec})
    return this.#explained(spec, null, ahead, 'Pending')
  }

  #explained(
    spec: ClaimSpec,
    position: number | null,
    waitingAhead: number,
    phase: Claim['status']['phase'],
  ): Explanation {
    const {queue} = this.#deps
    const nodes = explain(spec, queue.offers())
    const possible = queue.isPossible(spec)
    const kept = queue.reservation()
    const verdict = verdictOf(nodes, possible, kept && nodes.find(({nodeId}) => nodeId === kept.nodeId)?.node)
    return {
      phase,
      position,
      waitingAhead,
      verdict,
      possible,
      nodes: nodes.map(({node, fits, reason}) => ({node, fits, reason})),
    }
  }

  /** Throws claim_impossible when nothing is free for it now. */
  #checkNow(spec: ClaimSpec): void {
    const verdicts = explain(spec, this.#deps.queue.offers())
    if (verdicts.some(({fits}) => fits)) return
    const reason = verdicts.length === 0 ? 'there are no nodes' : summary(verdicts)
    throw problem('claim_impossible', {reason})
  }

  async #checkAllowed(tables: Tables, user: UserRecord | undefined, spec: ClaimSpec): Promise<UserRecord> {
    if (!user) throw problem('token_invalid', {})
    checkPriority(user, spec.priority ?? 0)
    const asked = gpuCount(spec)
    if (user.gpuQuota !== null && asked > 0) checkQuota(user, asked, await tables.claims.gpusHeldBy(user.id))
    if (spec.name !== undefined && (await tables.claims.findLiveByName(user.id, spec.name))) {
      throw problem('name_taken', {kind: 'claim', name: spec.name})
    }
    return user
  }

  /** The same key means the same claim; with another body it is refused (I3). */
  async #repeated(
    tables: Tables,
    caller: Caller,
    bodyHash: string,
  ): Promise<{claim: Claim; instance: Instance} | undefined> {
    if (caller.idempotencyKey === undefined) return undefined
    const row = await tables.idempotency.find(caller.id, caller.idempotencyKey)
    if (!row) return undefined
    if (row.bodyHash !== bodyHash) throw problem('key_reused', {})
    const claim = await tables.claims.find(row.resultId)
    const instance = claim && (await tables.instances.find(claim.instanceId))
    return claim && instance && {claim, instance}
  }

  async #name(tables: Tables, spec: ClaimSpec, ownerId: string): Promise<string> {
    if (spec.name !== undefined) return spec.name
    for (;;) {
      const letters = [...this.#deps.secrets.random(4)].map(byte =>
        codeAlphabet[byte % codeAlphabet.length]!.toLowerCase(),
      )
      const name = `${nameStem(spec.image)}-${letters.join('')}`
      if (!(await tables.claims.findLiveByName(ownerId, name))) return name
    }
  }

  #draft(
    spec: ClaimSpec,
    {id: ownerId, username: owner}: UserRecord,
    name: string,
    {claimId, instanceId}: {claimId: string; instanceId: string},
    {remark = '', pricePerHour, ...entries}: Origin,
  ): {claim: New<Claim>; instance: New<Instance>} {
    const at = new Date(this.#deps.clock.now()).toISOString()
    const common = {...entries, createdAt: at, updatedAt: at, name, owner, ownerId, version: 0}
    return {
      claim: {
        ...{...common, id: claimId, instanceId, spec, status: newStatus()},
        ...(pricePerHour === undefined ? {} : {pricePerHour}),
      },
      instance: {
        ...common,
        id: instanceId,
        claim: name,
        claimId,
        image: spec.image,
        desired: 'running',
        status: 'creating',
        reason: '',
        node: '',
        nodeId: '',
        runtime: '',
        containerId: '',
        containerName: '',
        epoch: 0,
        gpus: [],
        ...(spec.cpus === undefined ? {} : {cpus: spec.cpus}),
        ...(spec.memoryMiB === undefined ? {} : {memoryMiB: spec.memoryMiB}),
        exitCode: null,
        restarts: 0,
        warnings: [],
        remark,
        labels: spec.labels ?? {},
        startedAt: null,
        finishedAt: null,
      },
    }
  }
}

/** Parts of cards are sold by specs, whose images can live with them. */
function withoutShare(input: Submission): Submission {
  if (input.gpus?.shareMiB === undefined) return input
  const fix = 'Create an instance with a spec that sells parts of GPUs.'
  throw problem('input_invalid', {field: 'gpus.shareMiB', problem: 'comes from the catalogue only.', fix})
}

function verdictOf(nodes: readonly Verdict[], possible: boolean, keptNode: string | undefined): string {
  if (nodes.length === 0) return 'There are no nodes.'
  const fitting = nodes.filter(({fits}) => fits).map(({node}) => node)
  if (fitting.length > 0) {
    if (keptNode !== undefined && fitting.every(node => node === keptNode)) {
      return `It fits on ${keptNode}, which is kept for a claim that has waited longer.`
    }
    return `It fits on ${fitting.slice(0, 3).join(', ')}${fitting.length > 3 ? ' and others' : ''}.`
  }
  if (!possible) return `No node could hold it, even an empty one: ${summary(nodes)}.`
  return `It waits for room: ${summary(nodes)}.`
}

/** `gpu-1 cordoned; gpu-2 has 0 of 2 GPUs free; 7 more`. */
function summary(verdicts: readonly Verdict[]): string {
  const shown = verdicts.slice(0, 3).map(({node, reason}) => `${node} ${reason}`)
  return [...shown, ...(verdicts.length > 3 ? [`${verdicts.length - 3} more`] : [])].join('; ')
}

/** The same text for the same value, whatever the order of its keys. */
export function stableText(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part === null || typeof part !== 'object' || Array.isArray(part)) return part
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
