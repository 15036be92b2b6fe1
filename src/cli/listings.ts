import type {ApiToken, JoinToken, User} from '../contract/schemas/auth.ts'
import type {Image, Spec} from '../contract/schemas/catalogue.ts'
import type {Claim} from '../contract/schemas/claims.ts'
import type {InstanceSnapshot} from '../contract/schemas/instance-snapshots.ts'
import type {Instance, MatchedNode} from '../contract/schemas/instances.ts'
import type {SshKey} from '../contract/schemas/keys.ts'
import type {Model} from '../contract/schemas/models.ts'
import type {FleetGpu, Node} from '../contract/schemas/nodes.ts'
import type {Quota} from '../contract/schemas/quotas.ts'
import type {Runtime} from '../contract/schemas/runtimes.ts'
import type {Event} from '../contract/schemas/server.ts'
import type {Session} from '../contract/schemas/sessions.ts'
import type {Setting} from '../contract/schemas/settings.ts'
import type {Task} from '../contract/schemas/tasks.ts'
import type {Column} from './output/column.ts'
import {ago, bytes, gpuSummary, memory, percent} from './output/figures.ts'

// What each kind of thing shows of itself in a list, in order of interest: additions go to the end, because scripts count tabs.

export const nodeColumns: Column<Node>[] = [
  {name: 'name', value: ({name, hostname}) => name || hostname},
  {
    name: 'status',
    value: node => (node.schedulable || node.status !== 'online' ? node.status : `online, ${offWord(node)}`),
  },
  {name: 'code', value: ({code}) => code},
  {name: 'gpus', value: ({gpus}) => gpuSummary(gpus)},
  {name: 'free', value: ({gpusFree}) => gpusFree},
  {
    name: 'runtime',
    value: node => (node.runtimeState === 'ok' ? node.runtime : `${node.runtime} ${node.runtimeState}`),
  },
  {name: 'last seen', value: ({lastSeenAt}) => lastSeenAt, shown: ({lastSeenAt}) => ago(lastSeenAt)},
  {name: 'id', value: ({id}) => id, wide: true},
  {name: 'address', value: ({address}) => address, wide: true},
  {name: 'cpus', value: ({cpus}) => cpus, wide: true},
  {
    name: 'memory',
    value: ({memoryMiB}) => memoryMiB,
    unit: 'MiB',
    shown: ({memoryMiB}) => memory(memoryMiB),
    wide: true,
  },
  {name: 'kind', value: ({kind}) => kind, wide: true},
  {name: 'agent', value: ({agentVersion}) => agentVersion, wide: true},
  {name: 'region', value: ({listing}) => listing.region, wide: true},
  {name: 'listed', value: ({listed}) => listed, wide: true},
]

export const pendingColumns: Column<Node>[] = [
  {name: 'code', value: ({code}) => code},
  {name: 'hostname', value: node => (node.nameTaken ? `${node.hostname} (name already taken!)` : node.hostname)},
  {name: 'address', value: ({address}) => address},
  {name: 'gpus', value: node => gpuSummary(node.gpus) || node.gpuSummary},
  {name: 'expires', value: node => node.codeExpiresAt, shown: node => timeLeft(node.codeExpiresAt)},
  {name: 'fingerprint', value: ({fingerprint}) => fingerprint},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const runtimeColumns: Column<Runtime>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'status', value: ({status}) => status},
  {name: 'node', value: ({node}) => node},
  {name: 'models', value: ({models}) => models.join(', ')},
  {name: 'gpus', value: ({gpuCount, gpuModel}) => `${gpuCount} × ${gpuModel}`},
  {name: 'requests', value: ({requests}) => requests.active},
  {name: 'last seen', value: ({lastSeenAt}) => lastSeenAt, shown: ({lastSeenAt}) => ago(lastSeenAt)},
  {name: 'id', value: ({id}) => id, wide: true},
  {name: 'address', value: ({address}) => address, wide: true},
  {name: 'port', value: ({port}) => port, wide: true},
  {name: 'version', value: ({runtimeVersion}) => runtimeVersion, wide: true},
]

export const gpuColumns: Column<FleetGpu>[] = [
  {name: 'node', value: ({node}) => node},
  {name: 'index', value: ({index}) => index},
  {name: 'model', value: gpu => gpuSummary([gpu]).replace('1 × ', '')},
  {name: 'memory', value: ({memoryMiB}) => memoryMiB, unit: 'MiB', shown: ({memoryMiB}) => memory(memoryMiB)},
  {name: 'use', value: gpu => gpu.utilizationPercent, shown: gpu => percent(gpu.utilizationPercent)},
  {
    name: 'temp',
    value: ({temperatureC}) => temperatureC,
    shown: gpu => (gpu.temperatureC === null ? '' : `${gpu.temperatureC} °C`),
  },
  {name: 'state', value: gpuState},
  {name: 'claim', value: ({claim}) => claim},
  {name: 'owner', value: ({owner}) => owner},
  {name: 'uuid', value: ({uuid}) => uuid, wide: true},
  {name: 'disabled', value: ({disabled}) => disabled?.reason || disabled?.at, wide: true},
]

export function gpuState({state, disabled}: FleetGpu): string {
  return disabled === null || state === 'disabled' ? state : `${state}, disabled`
}

export const claimColumns: Column<Claim>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'phase', value: ({status}) => status.phase},
  {name: 'gpus', value: ({spec}) => wantedGpus(spec)},
  {name: 'node', value: ({status}) => status.nodeName},
  {name: 'position', value: ({status}) => status.position},
  {name: 'age', value: ({createdAt}) => createdAt, shown: ({createdAt}) => ago(createdAt)},
  {name: 'reason', value: ({status}) => reasonOf(status)},
  {name: 'owner', value: ({owner}) => owner, wide: true},
  {name: 'image', value: ({spec}) => spec.image, wide: true},
  {name: 'priority', value: ({spec}) => spec.priority ?? 0, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const instanceColumns: Column<Instance>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'status', value: one => (one.exitCode === null ? one.status : `${one.status} (${one.exitCode})`)},
  {name: 'node', value: ({node}) => node},
  {name: 'gpus', value: ({gpus}) => gpuSummary(gpus)},
  {name: 'image', value: ({image}) => image},
  {name: 'age', value: ({createdAt}) => createdAt, shown: ({createdAt}) => ago(createdAt)},
  {name: 'reason', value: ({reason}) => reason},
  {name: 'owner', value: ({owner}) => owner, wide: true},
  {name: 'claim', value: ({claim}) => claim, wide: true},
  {name: 'restarts', value: ({restarts}) => restarts, wide: true},
  {name: 'container', value: ({containerName}) => containerName, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const instanceSnapshotColumns: Column<InstanceSnapshot>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'state', value: ({state}) => state},
  {
    name: 'size',
    value: ({sizeBytes}) => sizeBytes,
    unit: 'bytes',
    shown: ({sizeBytes}) => (sizeBytes === null ? '' : bytes(sizeBytes)),
  },
  {name: 'taken', value: ({createdAt}) => createdAt, shown: ({createdAt}) => ago(createdAt)},
  {name: 'node', value: ({node}) => node},
  {name: 'by', value: ({createdBy}) => createdBy},
  {name: 'image', value: ({imageId}) => imageId, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const imageColumns: Column<Image>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'address', value: ({address}) => address},
  {name: 'description', value: ({description}) => description},
  {name: 'listed', value: ({listed}) => listed, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const specColumns: Column<Spec>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'gpu', value: ({gpuModel}) => gpuModel},
  {name: 'gpus', value: ({gpuCount}) => gpuCount},
  {name: 'gpu gib', value: ({gpuMemoryGiB}) => gpuMemoryGiB, unit: 'GiB'},
  {name: 'cpus', value: ({cpus}) => cpus},
  {name: 'memory gib', value: ({memoryGiB}) => memoryGiB, unit: 'GiB'},
  {name: 'price/h', value: ({pricePerHour}) => pricePerHour},
  {name: 'listed', value: ({listed}) => listed, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const matchColumns: Column<MatchedNode>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'instances', value: ({capacity}) => capacity},
  {name: 'gpu', value: ({gpuModel}) => gpuModel},
  {name: 'free', value: node => `${node.gpusFree}/${node.gpuCount}`},
  {
    name: 'gpu memory free',
    value: node => node.gpuMemoryFreeMiB,
    unit: 'MiB',
    shown: node => memory(node.gpuMemoryFreeMiB),
  },
  {name: 'cpus free', value: ({cpusFree}) => cpusFree},
  {name: 'memory free', value: node => node.memoryFreeMiB, unit: 'MiB', shown: node => memory(node.memoryFreeMiB)},
  {name: 'reason', value: ({reason}) => reason},
  {name: 'region', value: ({region}) => region, wide: true},
  {name: 'address', value: ({publicIp}) => publicIp, wide: true},
  {name: 'data gib free', value: ({dataDiskFreeGiB}) => dataDiskFreeGiB, unit: 'GiB', wide: true},
  {name: 'price/h', value: ({pricePerHour}) => pricePerHour, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const userColumns: Column<User>[] = [
  {name: 'username', value: ({username}) => username},
  {name: 'role', value: ({role}) => role},
  {
    name: 'gpus',
    value: ({gpuQuota}) => gpuQuota,
    shown: ({gpuQuota}) => quotaWord(gpuQuota),
  },
  {name: 'enabled', value: ({enabled}) => enabled},
  {name: 'priority', value: ({maxPriority}) => maxPriority, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const quotaColumns: Column<Quota>[] = [
  {name: 'user', value: ({user}) => user},
  {name: 'gpus', value: ({gpus}) => gpus, shown: ({gpus}) => quotaWord(gpus)},
  {name: 'held', value: ({gpusHeld}) => gpusHeld},
  {name: 'left', value: ({gpusLeft}) => gpusLeft, shown: ({gpusLeft}) => quotaWord(gpusLeft)},
  {name: 'priority', value: ({maxPriority}) => maxPriority},
  {name: 'id', value: ({userId}) => userId, wide: true},
]

export function quotaWord(gpus: number | null): string {
  return gpus === null ? 'unlimited' : String(gpus)
}

export const settingColumns: Column<Setting>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'value', value: ({value}) => value},
  {name: 'set', value: ({isSet}) => isSet, shown: ({isSet}) => (isSet ? 'yes' : 'no, by default')},
  {name: 'takes', value: ({values}) => values.join(', ')},
  {name: 'description', value: ({description}) => description},
]

export const keyColumns: Column<SshKey>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'type', value: ({type}) => type},
  {name: 'bits', value: ({bits}) => bits},
  {name: 'fingerprint', value: ({fingerprint}) => fingerprint},
  {name: 'age', value: ({createdAt}) => createdAt, shown: ({createdAt}) => ago(createdAt)},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const sessionColumns: Column<Session>[] = [
  {name: 'number', value: ({number}) => number},
  {name: 'kind', value: ({kind}) => kind},
  {name: 'user', value: ({user}) => user},
  {name: 'instance', value: ({instance}) => instance},
  {name: 'address', value: ({address}) => address},
  {name: 'since', value: ({startedAt}) => startedAt, shown: ({startedAt}) => ago(startedAt)},
  {name: 'bytes in', value: ({bytesIn}) => bytesIn},
  {name: 'bytes out', value: ({bytesOut}) => bytesOut},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const modelColumns: Column<Model>[] = [
  {name: 'model', value: ({id}) => id},
  {
    name: 'status',
    value: ({status}) => status,
    shown: ({status, downloadProgress: share}) => (share === null ? status : `${status} ${percent(share * 100)}`),
  },
  {name: 'for', value: ({kinds}) => kinds.join(',')},
  {name: 'runtimes', value: ({runtimes}) => runtimes.length},
  {name: 'online', value: ({runtimes}) => runtimes.filter(({status}) => status === 'online').length},
  {name: 'on', value: ({runtimes}) => runtimes.map(({name}) => name).join(','), wide: true},
]

export const tokenColumns: Column<ApiToken>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'scopes', value: ({scopes}) => scopes.join(',')},
  {name: 'expires', value: ({expiresAt}) => expiresAt, shown: token => timeLeft(token.expiresAt) || 'never'},
  {name: 'last used', value: ({lastUsedAt}) => lastUsedAt, shown: ({lastUsedAt}) => ago(lastUsedAt) || 'never'},
  {name: 'begins', value: ({hint}) => hint},
  {name: 'owner', value: ({owner}) => owner, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
  {name: 'rate', value: ({requestsPerMinute}) => requestsPerMinute, wide: true},
  {name: 'at once', value: ({concurrency}) => concurrency, wide: true},
]

export const joinTokenColumns: Column<JoinToken>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'uses left', value: ({usesLeft}) => usesLeft},
  {name: 'approves', value: ({autoApprove}) => autoApprove},
  {name: 'expires', value: ({expiresAt}) => expiresAt, shown: ({expiresAt}) => timeLeft(expiresAt)},
  {name: 'admits', value: ({admits}) => admits},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const eventColumns: Column<Event>[] = [
  {name: 'time', value: ({at}) => at, shown: ({at}) => ago(at)},
  {name: 'what', value: ({kind, objectName}) => `${kind}/${objectName}`},
  {name: 'type', value: ({type}) => type},
  {name: 'message', value: ({message}) => message},
  {name: 'actor', value: ({actor}) => actor, wide: true},
  {name: 'number', value: ({number}) => number, wide: true},
]

export const taskColumns: Column<Task>[] = [
  {name: 'number', value: ({number}) => number},
  {name: 'type', value: ({type}) => type},
  {name: 'object', value: ({object}) => object},
  {name: 'node', value: ({node}) => node},
  {name: 'status', value: ({status}) => status},
  {name: 'progress', value: ({progress}) => progress, shown: ({progress}) => percent(progress)},
  {name: 'message', value: ({message}) => message},
  {name: 'age', value: ({createdAt}) => createdAt, shown: ({createdAt}) => ago(createdAt)},
  {name: 'owner', value: ({owner}) => owner, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

function offWord({drain}: Node): string {
  return drain === null || drain.state === 'unfinished' ? 'cordoned' : drain.state
}

/** `2 × RTX 4090`, `1`, or nothing. */
export function wantedGpus({gpus}: Claim['spec']): string {
  if (!gpus || gpus.count === 0) return '0'
  return gpus.model ? `${gpus.count} × ${gpus.model}` : String(gpus.count)
}

function reasonOf({reason, exitCode, phase}: Claim['status']): string {
  const isOver = phase === 'Completed' || phase === 'Failed'
  return isOver && exitCode !== null && reason === '' ? `exit ${exitCode}` : reason
}

function timeLeft(time: string | null): string {
  if (time === null) return ''
  const leftMs = Date.parse(time) - Date.now()
  if (Number.isNaN(leftMs)) return time
  return leftMs <= 0 ? 'expired' : ago(new Date(Date.now() - leftMs).toISOString()).replace(' ago', ' left')
}
