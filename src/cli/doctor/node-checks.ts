import type {Client} from '../../client/client.ts'
import type {Finding} from '../../contract/finding.ts'
import type {Node, NodeStats} from '../../contract/schemas/nodes.ts'
import {ago, gpuSummary} from '../output/figures.ts'
import {ok} from './client-checks.ts'

const full = {warnPercent: 85, errorPercent: 95}
const hot = {warnC: 87}

/** Of what the agent itself found, whether it can mend it. */
export interface SeenFinding extends Finding {
  canMend?: boolean
}

/** What a person is shown of it. */
export function asFinding({canMend: _, ...finding}: SeenFinding): Finding {
  return finding
}

/** What the server knows of a node, and what its agent says when it is asked now. */
export async function examineNode(client: Client, id: string): Promise<SeenFinding[]> {
  const node = await client.call('nodes.get', {id})
  const admission = admissionOf(node)
  if (node.admission !== 'active') return [admission]
  const {status} = await client.call('nodes.test', {id: node.id}).catch(() => ({status: 'unknown'}))
  const reading = node.status === 'online' ? await readingOf(client, node.id) : undefined
  const stale: Finding = {check: 'readings', level: 'warn', message: 'There is no fresh reading of it.', fix: ''}
  return [
    admission,
    linkOf(node),
    runtimeOf(node, status),
    gpusOf(node),
    ...(reading ? [diskOf(reading), ...temperaturesOf(reading)] : [stale]),
    ...(node.connected ? await machineOf(client, node) : []),
  ]
}

/** What was to be mended stands once: as it is now, or as it was with what became of it. */
export function withOutcome({
  before,
  after,
  failures,
}: Record<'before' | 'after', readonly SeenFinding[]> & {failures: string}): SeenFinding[] {
  const asked = before.filter(({canMend}) => canMend)
  const outcomes = asked.map((finding): SeenFinding => {
    const left = after.find(
      ({check, message, canMend}) => canMend && check === finding.check && message === finding.message,
    )
    if (left) return {...left, message: `${left.message} It could not be mended. ${failures}`.trim()}
    return {...finding, level: 'ok', message: `${finding.message} Mended.`, fix: ''}
  })
  const isTold = ({check, level, canMend, message}: SeenFinding) =>
    asked.some(one => one.check === check && (level === 'ok' || (canMend && one.message === message)))
  return [...after.filter(one => !isTold(one)), ...outcomes]
}

async function machineOf(client: Client, {id, kind}: Node): Promise<SeenFinding[]> {
  if (kind !== 'agent') return []
  try {
    return await client.call('nodes.examine', {id})
  } catch (error) {
    const {message, hint = ''} = error as Error & {hint?: string}
    return [{check: 'machine', level: 'warn', message: `Its agent cannot look at the machine: ${message}`, fix: hint}]
  }
}

function admissionOf({admission, name, code, schedulable, cordonReason}: Node): Finding {
  if (admission === 'pending') {
    const fix = `Approve it: \`gpuctl node approve ${code ?? name}\`.`
    return {check: 'admission', level: 'error', message: 'It waits for approval.', fix}
  }
  if (admission === 'blocked') {
    return {
      check: 'admission',
      level: 'error',
      message: 'It is blocked.',
      fix: 'Let it join anew and approve it again.',
    }
  }
  if (schedulable) return ok('admission', 'It is admitted and takes work.')
  const why = cordonReason ? ` (${cordonReason})` : ''
  return {
    check: 'admission',
    level: 'warn',
    message: `It gets no new work${why}.`,
    fix: `\`gpuctl node uncordon ${name}\``,
  }
}

function linkOf({kind, connected, status, lastSeenAt, name}: Node): Finding {
  if (connected && status === 'online')
    return ok('link', `Its ${kind === 'agent' ? 'agent' : 'engine'} is connected, last heard ${ago(lastSeenAt)}.`)
  const level = status === 'online' ? 'warn' : 'error'
  const seen = lastSeenAt === null ? 'never heard' : `last heard ${ago(lastSeenAt)}`
  const fix =
    kind === 'agent'
      ? 'On the machine: `gpuctl agent status`, `gpuctl agent doctor`. What runs there goes on.'
      : `Look at its address and TLS files: \`gpuctl node test ${name}\`.`
  return {check: 'link', level, message: `It is ${status}, not connected, ${seen}.`, fix}
}

function runtimeOf({runtime, runtimeState, runtimeReason}: Node, asked: string): Finding {
  if (runtimeState === 'ok' && asked !== 'unreachable' && asked !== 'auth_failed')
    return ok('runtime', `${runtime} works.`)
  const message = `${runtime} is ${runtimeState === 'ok' ? asked : runtimeState}${runtimeReason ? `: ${runtimeReason}` : ''}.`
  const fix = runtime === 'docker' ? 'On the machine: `systemctl status docker`, then `gpuctl agent doctor`.' : ''
  return {check: 'runtime', level: runtimeState === 'unknown' ? 'warn' : 'error', message, fix}
}

function gpusOf({gpus, gpuState, gpuReason, gpusFree}: Node): Finding {
  if (gpuState === 'lost') {
    const fix = 'On the machine: `nvidia-smi`, `dmesg | grep -i xid`; a reset or a restart brings the driver back.'
    return {check: 'GPUs', level: 'error', message: `The driver has lost them: ${gpuReason}`, fix}
  }
  if (gpus.length === 0)
    return {check: 'GPUs', level: 'warn', message: 'It has none.', fix: 'On the machine: `gpuctl agent doctor`.'}
  return ok('GPUs', `${gpuSummary(gpus)}, ${gpusFree} free.`)
}

function diskOf({diskPercent}: NodeStats): Finding {
  if (diskPercent === null) return {check: 'disk', level: 'warn', message: 'It is not known how full it is.', fix: ''}
  const message = `It is ${Math.round(diskPercent)} % full.`
  if (diskPercent < full.warnPercent) return ok('disk', message)
  const fix = 'On the machine: `docker system df`; old images go with `docker image prune`.'
  return {check: 'disk', level: diskPercent < full.errorPercent ? 'warn' : 'error', message, fix}
}

function temperaturesOf({gpus}: NodeStats): Finding[] {
  const tooHot = gpus.filter(({temperatureC}) => temperatureC !== null && temperatureC >= hot.warnC)
  return tooHot.map(({index, temperatureC}): Finding => {
    return {
      check: 'GPUs',
      level: 'warn',
      message: `GPU ${index} is at ${temperatureC} °C.`,
      fix: 'Look at its fans and the air.',
    }
  })
}

async function readingOf(client: Client, id: string): Promise<NodeStats | undefined> {
  const signal = AbortSignal.timeout(5_000)
  for await (const {event, data} of client.events('nodes.stats', {id}, {signal})) if (event === 'message') return data
  return undefined
}
