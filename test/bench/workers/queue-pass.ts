import {randomUUID} from 'node:crypto'
import {monitorEventLoopDelay} from 'node:perf_hooks'
import type {Gpu} from '../../../src/contract/schemas/nodes.ts'
import {QueueController} from '../../../src/controllers/queue-controller.ts'
import {FleetMemory} from '../../../src/domain/fleet-memory.ts'
import {Journal} from '../../../src/domain/journal.ts'
import type {New, Store} from '../../../src/domain/ports.ts'
import type {NodeRecord} from '../../../src/domain/records.ts'
import {systemClock} from '../../../src/platform/clock.ts'
import {sha256Hex} from '../../../src/platform/ids.ts'
import {openStore} from '../../../src/store/open.ts'
import {gpusPerNode, models, placementSpec} from '../placement-fleet.ts'
import {writeWaitingClaims} from '../waiting-claims.ts'
import {serveJobs} from '../worker-process.ts'

export interface QueuePassJob {
  /** Path of the SQLite file to make. */
  file: string
  nodes: number
  claims: number
}

export interface QueuePassResult {
  placed: number
  cpuMs: number
  wallMs: number
  longestBlockMs: number
}

/** The server's own queue controller over a real store: the whole fleet comes online while the whole queue waits. */
serveJobs<QueuePassJob, QueuePassResult>(async ({file, nodes, claims}) => {
  const fail = (error: unknown) => {
    throw error
  }
  const store = await openStore({at: file, onFatal: fail})
  const clock = systemClock
  const memory = new FleetMemory({clock})
  let areConnected = false
  const controller = new QueueController(
    {
      store,
      memory,
      clock,
      journal: new Journal({store, clock}),
      fleet: {connected: () => areConnected, agent: () => fail(new Error('Nobody is called here.'))},
      secrets: {sha256: sha256Hex},
      serverId: randomUUID(),
      onError: (_, __, error) => console.error(error),
    },
    {wakeNode: () => {}, isFrozen: () => false},
  )
  const nodeIds = await writeNodes(store, nodes)
  await writeWaitingClaims(store, {id: randomUUID(), username: 'bench'}, claims, placementSpec)
  controller.tick()
  await controller.idle()
  for (const id of nodeIds) {
    memory.takeBeat(id, {bootId: 'boot', sequence: 1, runtimeState: 'ok', gpuState: 'ok'})
    memory.linkOpened(id)
    memory.takeReports(id, [], true, 0)
  }
  areConnected = true

  const delay = monitorEventLoopDelay({resolution: 1})
  delay.enable()
  const before = process.cpuUsage()
  const since = performance.now()
  controller.tick()
  await controller.idle()
  const wallMs = performance.now() - since
  const {user, system} = process.cpuUsage(before)
  delay.disable()
  const {Scheduled: placed = 0} = await store.claims.countByPhase()
  await controller.close()
  await store.close()
  return {placed, cpuMs: (user + system) / 1000, wallMs, longestBlockMs: delay.max / 1e6}
})

async function writeNodes(store: Store, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let from = 0; from < count; from += 1_000) {
    await store.transaction(async tx => {
      for (let index = from; index < Math.min(count, from + 1_000); index++) {
        ids.push((await tx.nodes.insert(nodeRecord(index))).id)
      }
    })
  }
  return ids
}

function nodeRecord(index: number): New<NodeRecord> {
  const at = new Date().toISOString()
  const {model, memoryMiB} = models[index % models.length]!
  const gpus = Array.from({length: gpusPerNode}, (_, gpu): Gpu => {
    const unknown = {memoryUsedMiB: null, utilizationPercent: null, temperatureC: null, powerW: null}
    const uuid = `GPU-${index}-${gpu}`
    return {index: gpu, uuid, vendor: 'fake', model, memoryMiB, ...unknown, computeCapability: null, simulated: true}
  })
  return {
    id: randomUUID(),
    createdAt: at,
    updatedAt: at,
    version: 0,
    name: `node-${index}`,
    hostname: `node-${index}`,
    admission: 'active',
    kind: 'agent',
    schedulable: true,
    cordonReason: '',
    code: null,
    codeExpiresAt: null,
    pollSecretHash: null,
    keyHash: null,
    keyDeliveredAt: at,
    keyUsedAt: at,
    suspendedReason: '',
    address: '127.0.0.1',
    claimedAddress: '',
    fingerprint: '',
    gpuSummary: '',
    os: 'linux',
    agentVersion: 'bench',
    labels: {},
    ownerId: null,
    docker: null,
    declaredGpus: null,
    inventory: {
      runtime: 'fake',
      runtimeVersion: '0',
      cpus: 64,
      memoryMiB: 524_288,
      os: 'linux',
      architecture: 'x64',
      agentVersion: 'bench',
      gpus,
      images: true,
    },
  }
}
