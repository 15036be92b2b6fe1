import {randomUUID} from 'node:crypto'
import {monitorEventLoopDelay} from 'node:perf_hooks'
import {QueueController} from '../../../src/controllers/queue-controller.ts'
import {FleetMemory} from '../../../src/domain/fleet-memory.ts'
import {Journal} from '../../../src/domain/journal.ts'
import {TaskFeed} from '../../../src/domain/task-feed.ts'
import {systemClock} from '../../../src/platform/clock.ts'
import {sha256Hex} from '../../../src/platform/ids.ts'
import {openStore} from '../../../src/store/open.ts'
import {placementInventory, placementSpec} from '../placement-fleet.ts'
import {writeNodes} from '../stored-nodes.ts'
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
      vault: {
        seal: async () => fail(new Error('Nothing is sealed here.')),
        open: async () => fail(new Error('Nothing is opened here.')),
      },
      recipes: {},
      program: () => fail(new Error('Nothing is sent here.')),
      taskFeed: new TaskFeed(),
      serverId: randomUUID(),
      onError: (_, __, error) => console.error(error),
    },
    {wakeNode: () => {}, isFrozen: () => false},
  )
  const nodeIds = (await writeNodes(store, nodes, placementInventory)).map(({id}) => id)
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
