import {problem} from '../errors.ts'
import type {ProbedRuntime, Tables} from '../ports.ts'
import type {RuntimeRecord} from '../runtimes.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {RegistrationCaller, RuntimeRegistrationInput, Services} from './services.ts'

/** Far more than a fleet has; a bound all the same. */
const mostRuntimes = 4096
/** Of a runtime's list that is worth keeping. */
const mostModels = 1024

export interface Registered {
  record: RuntimeRecord
  token: string
  isNew: boolean
  readiness: Pick<ProbedRuntime, 'initializing' | 'ready'>
}

/** What the credential of a registration proved. */
interface Permit {
  /** The machine that showed its key. */
  nodeId?: string
  /** Of a join token, which has one use less with it. */
  joinTokenHash?: string
}

/** How an inference runtime comes in, again and again: each start of it is a registration (wire.md 1.3). */
export class RuntimeRegistration {
  readonly #deps: ServiceDependencies
  readonly #nodes: Pick<Services['nodes'], 'authenticate'>

  constructor(deps: ServiceDependencies, nodes: Pick<Services['nodes'], 'authenticate'>) {
    this.#deps = deps
    this.#nodes = nodes
  }

  /** Throws login_required, token_invalid, gpu_required, too_many, and what the probe throws. */
  async register(input: RuntimeRegistrationInput, caller: RegistrationCaller): Promise<Registered> {
    const {runtimeProbe, secrets} = this.#deps
    const permit = await this.#permit(caller)
    const gpus = checkGpus(input)
    const {address, port} = input
    const found = await runtimeProbe.probe({address, port}, caller.address)
    const token = `nt_${secrets.uuid()}`
    const {joinTokenHash, ...rest} = permit
    const saved = await this.#save({...input, ...gpus, ...rest}, found, secrets.sha256(token), {joinTokenHash, caller})
    return {...saved, token, readiness: found}
  }

  /** Callers on this machine need none; others a node key or a join token (wire.md ruling 1). */
  async #permit({isLocal, credential}: RegistrationCaller): Promise<Permit> {
    const {secrets, store} = this.#deps
    if (credential?.startsWith('gpn_')) return {nodeId: (await this.#nodes.authenticate(credential)).id}
    if (isLocal) return {}
    if (!credential) throw problem('login_required', {})
    const joinTokenHash = secrets.sha256(credential)
    const now = this.#now()
    const known = (await store.joinTokens.list()).find(token => token.secretHash === joinTokenHash)
    if (!known || known.usesLeft < 1 || known.expiresAt <= now) throw problem('token_invalid', {})
    return {joinTokenHash}
  }

  async #save(
    input: RuntimeRegistrationInput & {gpuCount: number; gpuModel: string; nodeId?: string},
    found: ProbedRuntime,
    tokenHash: string,
    {joinTokenHash, caller}: {joinTokenHash: string | undefined; caller: RegistrationCaller},
  ): Promise<{record: RuntimeRecord; isNew: boolean}> {
    return this.#deps.journal.change(async (tx, note) => {
      if (joinTokenHash && !(await tx.joinTokens.use(joinTokenHash, this.#now()))) throw problem('token_invalid', {})
      const before = await tx.runtimes.findByEndpoint(found.address, input.port)
      if (!before && (await tx.runtimes.list()).length >= mostRuntimes)
        throw problem('too_many', {what: 'runtimes: delete one first', seconds: 60})
      const at = this.#now()
      const nodeId = input.nodeId ?? (await findMachine(tx, found.address, input.machineName, at))
      const told = {
        ...{nodeId, machineName: input.machineName, address: found.address, port: input.port, tokenHash},
        ...{runtimeVersion: input.runtimeVersion, approval: 'pending' as const, registeredAt: at, updatedAt: at},
        ...{gpuDevices: input.gpuDevices, gpuCount: input.gpuCount, gpuModel: input.gpuModel},
        ...{supportedRuntimes: input.supportedRuntimes, models: found.models.slice(0, mostModels)},
      }
      const fresh = {id: this.#deps.secrets.uuid(), createdAt: at, version: 0, customName: null, tags: [], notes: null}
      const record = before
        ? await tx.runtimes.save({...before, ...told})
        : await tx.runtimes.insert({...fresh, ...told})
      const named = {id: record.id, name: record.customName ?? record.machineName}
      const words = `${named.name} registered ${before ? 'again ' : ''}at ${record.address}, port ${record.port}.`
      await note.event('runtime', named, 'Registered', words)
      await note.audit(caller, 'runtimes.register', record.id, {name: named.name, again: before !== undefined})
      return {record, isNew: before === undefined}
    })
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}

function checkGpus({gpuAvailable, gpuDevices, gpuCount, gpuModel}: RuntimeRegistrationInput): {
  gpuCount: number
  gpuModel: string
} {
  if (!gpuAvailable) throw problem('gpu_required', {problem: 'gpu_available is false.'})
  const [first] = gpuDevices
  if (!first) throw problem('gpu_required', {problem: 'gpu_devices is empty.'})
  const isWhole = gpuDevices.every(({model, count}) => model.trim() !== '' && count > 0)
  if (!isWhole) throw problem('gpu_required', {problem: 'each of gpu_devices needs a model and a count above 0.'})
  const sum = gpuDevices.reduce((all, {count}) => all + count, 0)
  return {gpuCount: gpuCount ?? sum, gpuModel: gpuModel ?? first.model}
}

/**
 * The node that this is: at the address, of that name, or the only one there. What an anonymous caller says never
 * changes a node (T3); a blocked one keeps its runtimes from being asked.
 */
async function findMachine(tx: Tables, address: string, name: string, now: string): Promise<string | null> {
  const here = (await tx.nodes.list()).filter(node => node.address === address)
  const isNamed = (node: (typeof here)[number]) => node.name === name || node.hostname === name
  const admitted = here.filter(({admission}) => admission !== 'pending')
  const waiting = here.filter(node => node.admission === 'pending' && (node.codeExpiresAt ?? '') > now)
  const named = admitted.filter(isNamed)
  const candidates = [named, named.length === 0 ? admitted : [], waiting.filter(isNamed)]
  return candidates.find(nodes => nodes.length === 1)?.[0]?.id ?? null
}
