import type {QueueView, Wake} from '../domain/ports.ts'
import type {Timer} from '../platform/clock.ts'
import {ClaimController} from './claim-controller.ts'
import {type ControllerDependencies, type ControllerSettings, controllerDefaults} from './dependencies.ts'
import {DrainController} from './drain-controller.ts'
import {NodeController} from './node-controller.ts'
import {QueueController} from './queue-controller.ts'
import {SilenceWatch} from './silence-watch.ts'
import {SiteController} from './site-controller.ts'
import {TaskController} from './task-controller.ts'

export interface Controllers {
  /**
   * `queue`: `claim:<id>` or `node:<id>`, what changed for placement. `claim`: a claim id. `task`: a task id. `drain`: a node id. `node`: a node id; a node that
   * has just connected: `opened:<id>:<revision that its agent has stored>`.
   */
  wake: Wake
  queue: QueueView
  /** Ends all that runs on a node that was deleted. Resolves when the node has done so, or cannot be asked. */
  dismissNode(nodeId: string): Promise<void>
  /** Goes on with what is unfinished. Resolves when bindings and nodes have been read; the waiting claims follow. */
  start(): Promise<void>
  /** Resolves when no controller works any more. Nothing is undone: the next start goes on. */
  stop(): Promise<void>
  /** Resolves when there is nothing left to do at this moment; for tests and benches. */
  idle(): Promise<void>
}

export function createControllers(deps: ControllerDependencies): Controllers {
  const settings: ControllerSettings = {...controllerDefaults, ...deps.settings}
  const {store, clock, memory, journal} = deps
  const watch = new SilenceWatch({memory, ...settings})
  const nodes = new NodeController(deps, settings)
  const queue: QueueController = new QueueController(deps, {
    wakeNode: id => nodes.wake(id),
    isFrozen: () => watch.isFrozen,
  })
  const drains: DrainController = new DrainController(deps, {
    ...{tickMs: settings.tickMs, wakeNode: id => nodes.wake(id), wakeClaim: id => claims.wake(id)},
    offerChanged: id => queue.nodeChanged(id),
    claimChanged: id => queue.claimChanged(id, {afterMs: 0}),
  })
  const claims: ClaimController = new ClaimController(deps, {
    wakeNode: id => nodes.wake(id),
    offerChanged: id => {
      queue.nodeChanged(id)
      drains.workChanged(id)
    },
    claimChanged: (id, requeue) => queue.claimChanged(id, requeue),
    isLost: id => watch.isLost(id),
  })
  const tasks = new TaskController(deps, {wakeNode: id => nodes.wake(id)})
  const sites = new SiteController(deps)
  let timer: Timer | undefined
  let ticking: Promise<void> = Promise.resolve()
  let isStopped = false

  const wake: Wake = (controller, key) => {
    const [what, id = '', revision = '0'] = key.split(':')
    if (controller === 'claim') claims.wake(key)
    else if (controller === 'task') tasks.wake(key)
    else if (controller === 'drain') drains.wake(key)
    else if (controller === 'node' && what === 'opened') nodes.linkOpened(id, Number(revision))
    else if (controller === 'node') nodes.wake(key)
    else if (what === 'claim') queue.claimChanged(id)
    else if (what === 'node') queue.nodeChanged(id)
    else queue.tick()
  }

  async function tick(): Promise<void> {
    const active = queue.view.offers().map(({nodeId}) => nodeId)
    const {newlyLost, frozenChanged} = watch.look(active)
    if (frozenChanged) await tellFreeze()
    for (const nodeId of newlyLost) {
      for (const {claimId} of await store.allocations.listLive(nodeId)) claims.wake(claimId)
    }
    queue.tick()
    await sites.tick()
  }

  function tellFreeze(): Promise<void> {
    const [type, message] = watch.isFrozen
      ? ['MassSilence', 'Most nodes fell silent at once: no claim is given up until they are heard again.']
      : ['MassSilenceOver', 'Most nodes are heard again.']
    return journal.change((_, record) => record.event('server', {id: deps.serverId, name: 'server'}, type!, message!))
  }

  function plan(): void {
    if (isStopped) return
    const run = () => {
      ticking = tick()
        .catch(error => deps.onError('tick', '', error))
        .finally(plan)
    }
    timer = clock.setTimeout(run, settings.tickMs, {unref: true})
  }

  async function idle(): Promise<void> {
    // One may wake another: at rest is when all were, one after the other, twice.
    for (let round = 0; round < 2; round++) {
      await ticking
      await drains.idle()
      await claims.idle()
      await queue.idle()
      await nodes.idle()
      await tasks.idle()
      await sites.idle()
    }
  }

  return {
    wake,
    queue: queue.view,
    dismissNode: id => nodes.dismiss(id),
    async start() {
      const unfinished = await store.allocations.listLive()
      for (const {claimId} of unfinished) claims.wake(claimId)
      for (const nodeId of new Set(unfinished.map(one => one.nodeId))) nodes.wake(nodeId)
      await queue.load()
      await tasks.start()
      await drains.start()
      queue.tick()
      plan()
    },
    async stop() {
      isStopped = true
      timer?.cancel()
      await ticking
      await Promise.all([drains.close(), claims.close(), queue.close(), nodes.close(), tasks.close(), sites.close()])
    },
    idle,
  }
}
