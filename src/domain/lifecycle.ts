import type {InstanceReport} from '../contract/agent-protocol.ts'
import type {Claim} from '../contract/schemas/claims.ts'
import type {Instance} from '../contract/schemas/instances.ts'
import {generationOf} from './allocation.ts'
import {isFinal, move} from './claim.ts'
import {drainedReason} from './drain.ts'

/** What is known about a bound claim at one moment. */
export interface Facts {
  nowMs: number
  /** What the node told of the claim's current binding. */
  report: InstanceReport | undefined
  /** The report was made by an agent that knew what is wanted now. */
  isAnswer: boolean
  /** The node has been silent for longer than the grace, and not half the fleet with it. */
  nodeLost: boolean
  /** When the node's container engine came back from an outage. */
  engineBackAtMs: number
}

/** One step of a claim's life; `undefined` parts stay as they are. */
export interface Step {
  claim?: Claim
  instance?: Instance
  /** The allocation's container holds no GPU any more. */
  release?: boolean
  event?: {type: string; message: string}
  /** The claim is back in the queue: not before then, and rather not on this node. */
  requeue?: {afterMs: number; avoidNode: boolean}
  /** Look again then, even if nobody wakes. */
  lookAfterMs?: number
}

/** Failed tries to create a container before the claim is given up. */
export const creationRetries = 3
const engineRestartMs = 60_000

/** What follows from what a node told. Pure, and the same however often it is asked (wire.md 5.2). */
export function step(claim: Claim, instance: Instance, facts: Facts): Step {
  const settled = settleRestore(instance, facts)
  if (settled) return settled
  const next = nextOf(claim, instance, facts)
  return next.claim || next.instance ? next : {...next, ...warn(instance, facts)}
}

/** What its node says of a restore that was asked for, whatever became of the claim meanwhile. */
function settleRestore(instance: Instance, {nowMs, report}: Facts): Step | undefined {
  const {restore, name} = instance
  if (restore?.state !== 'pending') return undefined
  const ended = (state: 'done' | 'failed', message: string): Instance => {
    return {...instance, restore: {...restore, state, message}, updatedAt: iso(nowMs)}
  }
  const refused =
    restore.epoch === instance.epoch ? report?.refusedRestore : {count: restore.count, message: 'it moved'}
  if (refused?.count === restore.count) {
    const message = `${name} could not be made of snapshot ${restore.snapshot}: ${refused.message}`
    return {instance: ended('failed', refused.message), event: {type: 'RestoreFailed', message}}
  }
  if (report?.epoch !== restore.epoch || report.restored !== restore.count) return undefined
  const {state: _, message: __, ...madeOf} = restore
  const {containerId} = report
  const message = `${name} is what it was at snapshot ${restore.snapshot}.`
  return {instance: {...ended('done', ''), madeOf, containerId}, event: {type: 'Restored', message}}
}

/** What the runtime could not honour since. */
function warn(instance: Instance, {nowMs, report, isAnswer}: Facts): Step {
  if (!report || !isAnswer || report.containerId !== instance.containerId) return {}
  const {warnings} = report
  if (warnings.join('\n') === instance.warnings.join('\n')) return {}
  return {instance: {...instance, warnings, updatedAt: iso(nowMs)}}
}

function nextOf(claim: Claim, instance: Instance, facts: Facts): Step {
  const {phase} = claim.status
  if (phase === 'Pending') return {}
  if (isFinal(phase)) return settle(instance, facts)
  if (facts.nodeLost) return lose(claim, instance, facts)
  if (instance.desired === 'stopped') return stopped(claim, instance, facts)
  return phase === 'Scheduled' ? begin(claim, instance, facts) : watch(claim, instance, facts)
}

/** The claim is over: its GPUs are free as soon as the container has ended, or is gone. */
function settle(instance: Instance, {nowMs, report, isAnswer}: Facts): Step {
  if (!report) return {}
  const isNew = report.generation >= generationOf(instance)
  if (instance.desired === 'deleted') {
    if (report.state !== 'removed' || !isAnswer) return {}
    return {release: true, instance: {...instance, status: 'exited', updatedAt: iso(nowMs)}}
  }
  const ended = (report.state === 'exited' && (isNew || isAnswer)) || (isAnswer && report.state !== 'running')
  if (!ended) return {}
  if (instance.status !== 'stopping') return {release: true}
  return {release: true, instance: {...instance, status: 'failed', updatedAt: iso(nowMs)}}
}

function begin(claim: Claim, instance: Instance, facts: Facts): Step {
  const {nowMs, report, isAnswer} = facts
  if (!report) return {}
  const isNew = report.generation >= generationOf(instance)
  if (report.state === 'running' && isNew) return run(claim, instance, report, nowMs)
  if ((report.state === 'exited' || report.state === 'removed') && isNew && report.startedAt !== '') {
    const running = run(claim, instance, report, nowMs)
    return end(running.claim!, running.instance!, facts)
  }
  if (report.state === 'removed' && isAnswer) return end(claim, instance, facts)
  if (report.state === 'failed' && isAnswer) return retry(claim, instance, report, nowMs)
  return {}
}

function run(claim: Claim, instance: Instance, report: InstanceReport, nowMs: number): Step {
  const at = iso(nowMs)
  const {status} = claim
  const change = {containerId: report.containerId, reason: '', startedAt: status.startedAt ?? at}
  const moved =
    status.phase === 'Running'
      ? {...claim, updatedAt: at, status: {...status, ...change}}
      : move(claim, 'Running', at, change)
  return {
    claim: moved,
    instance: {
      ...instance,
      status: 'running',
      reason: '',
      containerId: report.containerId,
      exitCode: null,
      warnings: report.warnings,
      startedAt: report.startedAt || at,
      finishedAt: null,
      updatedAt: at,
    },
    event: {type: 'Started', message: `${claim.name} runs on ${status.nodeName}.`},
    ...deadline(moved, nowMs),
  }
}

function watch(claim: Claim, instance: Instance, facts: Facts): Step {
  const {nowMs, report, isAnswer} = facts
  const {status, spec} = claim
  if (spec.maxTimeSeconds !== undefined && status.startedAt) {
    if (Date.parse(status.startedAt) + spec.maxTimeSeconds * 1000 <= nowMs) {
      return fail(claim, {...instance, status: 'stopping'}, 'MaxTime', nowMs)
    }
  }
  if (status.reason.startsWith('Restarting')) return restart(claim, instance, nowMs)
  const later = deadline(claim, nowMs)
  if (!report) return later
  const isNew = report.generation >= generationOf(instance)
  if (isNew && report.state === 'running' && instance.status !== 'running') return run(claim, instance, report, nowMs)
  if (isNew && (report.state === 'exited' || report.state === 'removed')) return end(claim, instance, facts)
  if (report.state === 'removed' && isAnswer) return end(claim, instance, facts)
  if (report.state === 'failed' && isAnswer) return end(claim, instance, facts)
  return later
}

/** The workload ended, or its container is gone: completed, started again, or failed. */
function end(claim: Claim, instance: Instance, facts: Facts): Step {
  const {nowMs} = facts
  const report = facts.report!
  const at = iso(nowMs)
  const policy = claim.spec.restart ?? 'never'
  const exitCode = report.state === 'exited' ? report.exitCode : null
  const ended: Instance = {
    ...instance,
    status: exitCode === 0 ? 'exited' : 'failed',
    exitCode,
    containerId: report.containerId || instance.containerId,
    finishedAt: report.finishedAt || at,
    updatedAt: at,
  }
  const release = report.state !== 'running'
  if (exitCode === 0 && policy !== 'always') {
    const done = claim.status.phase === 'Scheduled' ? move(claim, 'Running', at) : claim
    return {
      claim: move(done, 'Completed', at, {exitCode, reason: '', containerId: ended.containerId}),
      instance: {...ended, desired: 'stopped', reason: ''},
      release,
      event: {type: 'Completed', message: `${claim.name} ended with exit code 0.`},
    }
  }
  const reason = endReason(report, facts)
  if (policy === 'never') return {...fail(claim, ended, reason, nowMs, exitCode), release}
  const ranMs = nowMs - Date.parse(instance.startedAt ?? at)
  const attempts = ranMs > 600_000 ? 1 : claim.status.attempts + 1
  const waiting: Claim = {
    ...(claim.status.phase === 'Scheduled' ? move(claim, 'Running', at) : claim),
    updatedAt: at,
  }
  return {
    claim: {...waiting, status: {...waiting.status, attempts, exitCode, reason: `Restarting: ${reason}`}},
    instance: {...ended, reason},
    event: {type: 'Exited', message: `${claim.name} ended (${reason}) and will be started again.`},
    lookAfterMs: restartDelayMs(attempts),
  }
}

function endReason(report: InstanceReport, {nowMs, engineBackAtMs}: Facts): string {
  if (report.state === 'removed') return 'ContainerGone'
  if (report.state === 'failed') return `StartFailed: ${report.message || report.errorCode}`
  if (report.oomKilled) return 'OutOfMemory'
  const isKilled = report.exitCode === 137 || report.exitCode === 143 // an engine that starts ends what it finds: TERM, then KILL
  if (isKilled && nowMs - engineBackAtMs < engineRestartMs) return 'DockerRestarted'
  return report.exitCode === null ? 'ExitUnknown' : `ExitCode ${report.exitCode}`
}

/** Waits longer each time, 1 s to 5 min, then asks for the next start. */
function restart(claim: Claim, instance: Instance, nowMs: number): Step {
  const leftMs = Date.parse(claim.updatedAt) + restartDelayMs(claim.status.attempts) - nowMs
  if (leftMs > 0) return {lookAfterMs: leftMs}
  const at = iso(nowMs)
  return {
    claim: {...claim, updatedAt: at, status: {...claim.status, reason: ''}},
    instance: {...instance, restarts: instance.restarts + 1, status: 'creating', updatedAt: at},
    event: {type: 'Restarting', message: `${claim.name} is started again.`},
  }
}

export function restartDelayMs(attempts: number): number {
  return Math.min(300_000, 1_000 * 2 ** Math.min(20, Math.max(0, attempts - 1)))
}

/** The container could not be made: again after a pause, elsewhere if the node is the cause; then given up. */
function retry(claim: Claim, instance: Instance, report: InstanceReport, nowMs: number): Step {
  const attempts = claim.status.attempts + 1
  const kind = report.errorCode === 'image_missing' ? 'ImageMissing' : 'ContainerCreationError'
  const reason = `${kind}: ${report.message || report.errorCode}`
  const isHopeless = report.errorCode === 'invalid'
  if (isHopeless || attempts > creationRetries) {
    const failed = fail(claim, {...instance, status: 'failed'}, reason, nowMs)
    return {...failed, release: true}
  }
  const back = toQueue(claim, instance, `Retrying: ${reason}`, nowMs)
  back.claim!.status.attempts = attempts
  return {
    ...back,
    event: {
      type: 'CreationFailed',
      message: `${claim.name} could not be created on ${claim.status.nodeName}: ${reason}`,
    },
    requeue: {afterMs: 2_000 * 2 ** (attempts - 1), avoidNode: report.errorCode !== 'image_missing'},
  }
}

function lose(claim: Claim, instance: Instance, {nowMs}: Facts): Step {
  const {phase, nodeName} = claim.status
  const again = phase === 'Scheduled' || (claim.spec.restart ?? 'never') !== 'never'
  const message = `${nodeName} has been silent for too long; ${claim.name} ${again ? 'goes back to the queue' : 'is given up'}.`
  const event = {type: 'NodeLost', message}
  if (!again) return {...fail(claim, {...instance, status: 'failed'}, 'NodeLost', nowMs), release: true, event}
  return {...toQueue(claim, instance, 'NodeLost', nowMs), event, requeue: {afterMs: 0, avoidNode: false}}
}

/** The node was deleted, with work on it. */
export function evict(claim: Claim, instance: Instance, reason: string, nowMs: number): Step {
  if (isFinal(claim.status.phase)) return {release: true}
  const again = claim.status.phase === 'Scheduled' || (claim.spec.restart ?? 'never') !== 'never'
  if (again) return toQueue(claim, instance, reason, nowMs)
  return {...fail(claim, {...instance, status: 'failed'}, reason, nowMs), release: true}
}

/** The node is drained: the claim goes elsewhere, or its container is stopped and it is over. */
export function leave(claim: Claim, instance: Instance, fate: 'moves' | 'ends', nowMs: number): Step {
  const {name, status} = claim
  if (fate === 'ends') return fail(claim, {...instance, status: 'stopping'}, drainedReason, nowMs)
  const message = `${status.nodeName} is drained; ${name} goes back to the queue.`
  return {...toQueue(claim, instance, drainedReason, nowMs), event: {type: 'Moved', message}}
}

function toQueue(claim: Claim, instance: Instance, reason: string, nowMs: number): Step {
  const at = iso(nowMs)
  return {
    claim: move(claim, 'Pending', at, {reason, nodeName: '', nodeId: '', containerId: '', gpus: [], startedAt: null}),
    instance: {
      ...instance,
      status: 'creating',
      reason,
      node: '',
      nodeId: '',
      containerId: '',
      containerName: '',
      gpus: [],
      startedAt: null,
      updatedAt: at,
    },
    release: true,
  }
}

/** A stopped instance keeps its allocation, and its claim stays Running (rule 3). */
function stopped(claim: Claim, instance: Instance, {nowMs, report, isAnswer}: Facts): Step {
  if (!report || !isAnswer || report.state === 'running' || report.state === 'pulling') return {}
  if (instance.status === 'exited' && claim.status.reason === 'Stopped') return {}
  const at = iso(nowMs)
  const running = claim.status.phase === 'Scheduled' ? move(claim, 'Running', at) : claim
  return {
    claim: {...running, updatedAt: at, status: {...running.status, reason: 'Stopped', exitCode: report.exitCode}},
    instance: {
      ...instance,
      status: 'exited',
      reason: 'Stopped',
      containerId: report.containerId || instance.containerId,
      exitCode: report.exitCode,
      finishedAt: report.finishedAt || at,
      updatedAt: at,
    },
    event: {type: 'Stopped', message: `${claim.name} is stopped; it keeps its GPUs.`},
  }
}

function fail(claim: Claim, instance: Instance, reason: string, nowMs: number, exitCode: number | null = null): Step {
  const at = iso(nowMs)
  return {
    claim: move(claim, 'Failed', at, {reason, exitCode}),
    instance: {...instance, desired: 'stopped', reason, finishedAt: instance.finishedAt ?? at, updatedAt: at},
    event: {type: 'Failed', message: `${claim.name} failed: ${reason}`},
  }
}

function deadline({spec, status}: Claim, nowMs: number): Step {
  if (spec.maxTimeSeconds === undefined || !status.startedAt) return {}
  return {lookAfterMs: Math.max(0, Date.parse(status.startedAt) + spec.maxTimeSeconds * 1000 - nowMs)}
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
