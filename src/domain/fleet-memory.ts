import type {InstanceReport} from '../contract/agent-protocol.ts'
import type {Beat, Node} from '../contract/schemas/nodes.ts'
import {type LivenessSettings, livenessDefaults, livenessOf} from './liveness.ts'
import type {Clock} from './ports.ts'

interface NodeMemory {
  beat: Beat | undefined
  /** Receipt of the last accepted beat, milliseconds since 1970: what people see. */
  seenAtMs: number | undefined
  /** As seenAtMs, moved so that the time in which the server was away does not count (reliability F8). */
  aliveAtMs: number | undefined
  /** Earlier starts of the agent, whose late beats count no more. */
  retiredBoots: string[]
  reports: Map<string, KnownReport>
  /** When the container engine answered again after a pause. */
  engineBackAtMs: number
  /** Since when the link is open, and whether the node has told what runs there since. */
  linkedAtMs: number | undefined
  hasTold: boolean
}

export interface KnownReport extends InstanceReport {
  nodeId: string
  desiredRevision: number
}

/** What was last sent to a node of one allocation, and since which revision it is the same. */
interface Sent {
  generation: number
  state: string
  revision: number
}

const retiredBootsKept = 8
/** A node that tells nothing after connecting is believed to have nothing to tell. */
const tellWithinMs = 10_000

/**
 * What the server knows of the fleet at this moment and need not keep: beats, the nodes' reports, what was sent to them.
 * After a restart the nodes tell it again.
 */
export class FleetMemory {
  readonly #clock: Clock
  readonly #settings: LivenessSettings
  readonly #nodes = new Map<string, NodeMemory>()
  readonly #sent = new Map<string, Map<string, Sent>>()
  readonly #claims = new Map<string, Set<string>>()
  readonly #holder = new Map<string, KnownReport>()
  readonly #graceSeconds = new Map<string, number>()
  readonly #unsaved = new Map<string, {nodeId: string; at: string; beat: Beat}>()

  constructor({clock, liveness = livenessDefaults}: {clock: Clock; liveness?: LivenessSettings}) {
    this.#clock = clock
    this.#settings = liveness
  }

  /** Beats of the time before the start: who was online then has a whole further minute to be heard again. */
  restore(beats: readonly {nodeId: string; at: string; beat: Beat}[]): void {
    const startMs = this.#clock.now()
    const lastMs = beats.reduce((last, {at}) => Math.max(last, Date.parse(at)), 0)
    for (const {nodeId, at, beat} of beats) {
      const seenAtMs = Date.parse(at)
      const behindMs = lastMs - seenAtMs
      const graceMs = behindMs <= this.#settings.onlineForMs ? this.#settings.onlineForMs : 0
      this.#nodes.set(nodeId, {...this.#fresh(), beat, seenAtMs, aliveAtMs: startMs - behindMs + graceMs})
    }
  }

  /**
   * Takes a beat unless it is a repeated, older or late one: order is (boot, sequence), the time is that of receipt (T5, F9).
   * Tells whether it was taken and whether placement has to look again.
   */
  takeBeat(nodeId: string, beat: Beat): {taken: boolean; changed: boolean} {
    const node = this.#node(nodeId)
    const {beat: last} = node
    if (last && last.bootId === beat.bootId && beat.sequence <= last.sequence) return {taken: false, changed: false}
    if (node.retiredBoots.includes(beat.bootId)) return {taken: false, changed: false}
    if (last && last.bootId !== beat.bootId) {
      node.retiredBoots = [...node.retiredBoots, last.bootId].slice(-retiredBootsKept)
    }
    const before = this.liveness(nodeId)
    const nowMs = this.#clock.now()
    const engineBack = last?.runtimeState === 'degraded' && beat.runtimeState === 'ok'
    if (engineBack) node.engineBackAtMs = nowMs
    node.beat = beat
    node.seenAtMs = nowMs
    node.aliveAtMs = nowMs
    this.#unsaved.set(nodeId, {nodeId, at: new Date(nowMs).toISOString(), beat})
    const changed = before !== 'online' || last?.runtimeState !== beat.runtimeState || last?.gpuState !== beat.gpuState
    return {taken: true, changed}
  }

  /** Load that was told beside the beats, whose order it leaves alone. Tells whether placement has to look again. */
  takeLoad(nodeId: string, load: Pick<Beat, 'cpuPercent' | 'diskPercent' | 'activeBackups'>): {changed: boolean} {
    const node = this.#node(nodeId)
    const changed = this.liveness(nodeId) !== 'online'
    node.beat = {...(node.beat ?? {bootId: '', sequence: 0}), ...load}
    this.touch(nodeId)
    this.#unsaved.set(nodeId, {nodeId, at: new Date(this.#clock.now()).toISOString(), beat: node.beat})
    return {changed}
  }

  /** A sign of life that carries no readings. */
  touch(nodeId: string): void {
    const node = this.#node(nodeId)
    node.seenAtMs = this.#clock.now()
    node.aliveAtMs = node.seenAtMs
  }

  beat(nodeId: string): Beat | undefined {
    return this.#nodes.get(nodeId)?.beat
  }

  lastSeenAt(nodeId: string): string | null {
    const seenAtMs = this.#nodes.get(nodeId)?.seenAtMs
    return seenAtMs === undefined ? null : new Date(seenAtMs).toISOString()
  }

  /** Age of the last sign of life, in milliseconds. */
  ageMs(nodeId: string): number | undefined {
    const aliveAtMs = this.#nodes.get(nodeId)?.aliveAtMs
    return aliveAtMs === undefined ? undefined : this.#clock.now() - aliveAtMs
  }

  liveness(nodeId: string): Node['liveness'] {
    return livenessOf(this.ageMs(nodeId), this.#settings)
  }

  /** A new link: the node tells anew what runs there, and is told anew what should. */
  linkOpened(nodeId: string): void {
    const node = this.#node(nodeId)
    node.linkedAtMs = this.#clock.now()
    node.hasTold = false
    this.#sent.delete(nodeId)
  }

  linkClosed(nodeId: string): void {
    this.#node(nodeId).linkedAtMs = undefined
  }

  /** The node has said what runs there, or has had time to. Before that its GPUs may not be as free as they look (I8). */
  hasTold(nodeId: string): boolean {
    const node = this.#nodes.get(nodeId)
    if (!node || node.linkedAtMs === undefined) return false
    return node.hasTold || this.#clock.now() - node.linkedAtMs >= tellWithinMs
  }

  engineBackAtMs(nodeId: string): number {
    return this.#nodes.get(nodeId)?.engineBackAtMs ?? 0
  }

  /** Takes the beats that are not in the store yet. */
  drainUnsaved(): {nodeId: string; at: string; beat: Beat}[] {
    const beats = [...this.#unsaved.values()]
    this.#unsaved.clear()
    return beats
  }

  /** Takes reports; answers the claims of which something new is known. */
  takeReports(
    nodeId: string,
    reports: readonly InstanceReport[],
    complete: boolean,
    desiredRevision: number,
  ): string[] {
    const node = this.#node(nodeId)
    node.hasTold = true
    const claims = new Set<string>()
    for (const report of reports) {
      const known = node.reports.get(report.allocationId)
      const next: KnownReport = {...report, nodeId, desiredRevision}
      node.reports.set(report.allocationId, next)
      this.#holder.set(report.allocationId, next)
      this.#index(report.claimId).add(report.allocationId)
      if (!known || differs(known, next) || known.desiredRevision !== desiredRevision) claims.add(report.claimId)
    }
    if (complete) {
      const told = new Set(reports.map(({allocationId}) => allocationId))
      for (const [id, {claimId}] of node.reports) {
        if (told.has(id)) continue
        this.#drop(node, id)
        claims.add(claimId)
      }
    }
    return [...claims]
  }

  report(allocationId: string): KnownReport | undefined {
    return this.#holder.get(allocationId)
  }

  reportsOfClaim(claimId: string): KnownReport[] {
    return [...(this.#claims.get(claimId) ?? [])].flatMap(id => this.#holder.get(id) ?? [])
  }

  reportsOfNode(nodeId: string): KnownReport[] {
    return [...(this.#nodes.get(nodeId)?.reports.values() ?? [])] as KnownReport[]
  }

  forgetReport(nodeId: string, allocationId: string): void {
    this.#drop(this.#node(nodeId), allocationId)
    this.#graceSeconds.delete(allocationId)
  }

  /** Remembers what a node is told with this revision. */
  noteSent(
    nodeId: string,
    revision: number,
    instances: readonly {allocationId: string; generation: number; state: string}[],
  ): void {
    const before = this.#sent.get(nodeId)
    const now = new Map<string, Sent>()
    for (const {allocationId, generation, state} of instances) {
      const known = before?.get(allocationId)
      const same = known && known.generation === generation && known.state === state
      now.set(allocationId, same ? known : {generation, state, revision})
    }
    this.#sent.set(nodeId, now)
  }

  /** The report was made by an agent that knew what is wanted now. */
  isAnswer(report: KnownReport, wanted: {generation: number; state: string}): boolean {
    const sent = this.#sent.get(report.nodeId)?.get(report.allocationId)
    if (!sent || sent.generation !== wanted.generation || sent.state !== wanted.state) return false
    return report.desiredRevision >= sent.revision
  }

  /** What the last command asked for; one that asks for nothing gets what is usual, and not what another one got. */
  setGrace(allocationId: string, seconds: number | undefined): void {
    if (seconds === undefined) this.#graceSeconds.delete(allocationId)
    else this.#graceSeconds.set(allocationId, seconds)
  }

  graceSeconds(allocationId: string): number {
    return this.#graceSeconds.get(allocationId) ?? 10
  }

  forgetNode(nodeId: string): void {
    const node = this.#nodes.get(nodeId)
    if (node) for (const id of [...node.reports.keys()]) this.#drop(node, id)
    this.#nodes.delete(nodeId)
    this.#sent.delete(nodeId)
    this.#unsaved.delete(nodeId)
  }

  #drop(node: NodeMemory, allocationId: string): void {
    const known = node.reports.get(allocationId)
    node.reports.delete(allocationId)
    this.#holder.delete(allocationId)
    if (!known) return
    const ids = this.#claims.get(known.claimId)
    ids?.delete(allocationId)
    if (ids?.size === 0) this.#claims.delete(known.claimId)
  }

  #index(claimId: string): Set<string> {
    const known = this.#claims.get(claimId)
    if (known) return known
    const ids = new Set<string>()
    this.#claims.set(claimId, ids)
    return ids
  }

  #node(nodeId: string): NodeMemory {
    const known = this.#nodes.get(nodeId)
    if (known) return known
    const node = this.#fresh()
    this.#nodes.set(nodeId, node)
    return node
  }

  #fresh(): NodeMemory {
    return {
      beat: undefined,
      seenAtMs: undefined,
      aliveAtMs: undefined,
      retiredBoots: [],
      reports: new Map(),
      engineBackAtMs: 0,
      linkedAtMs: undefined,
      hasTold: false,
    }
  }
}

function differs(one: InstanceReport, other: InstanceReport): boolean {
  return (
    one.state !== other.state ||
    one.generation !== other.generation ||
    one.containerId !== other.containerId ||
    one.exitCode !== other.exitCode ||
    one.startedAt !== other.startedAt ||
    one.errorCode !== other.errorCode ||
    one.restored !== other.restored ||
    one.refusedRestore?.count !== other.refusedRestore?.count ||
    one.warnings.join('\n') !== other.warnings.join('\n')
  )
}
