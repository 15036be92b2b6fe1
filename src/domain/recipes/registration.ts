import type {FoundCluster, StorageRegistration} from '../../contract/storage-protocol.ts'
import type {Step, StepRun} from '../task.ts'

/** A storage that the cluster manager of a node is to know. */
export interface Registration {
  nodeId: string
  /** Name of the node. */
  node: string
  /** Undefined: a kind of storage that no cluster manager takes. */
  wanted: StorageRegistration | undefined
}

/** What the cluster manager calls the node: the first part of its host name. */
export function clusterName(node: {name: string; hostname?: string}): string {
  return (node.hostname || node.name).split('.')[0] ?? node.name
}

/** Tells the cluster manager of the node; where there is none the step is skipped (wire.md, ruling 7). */
export function registerStep<I>({nodeId, node, wanted}: Registration): Step<I> {
  return {
    name: `register-${node}`,
    title: () => `Registering ${wanted?.storage ?? 'the storage'} with the cluster manager of ${node}`,
    async isDone(run) {
      if (!wanted) return true
      const found = await look(run, nodeId)
      if (found.manager === null) return true
      const isKnown = knows(found, wanted)
      if (isKnown) run.notes.registered = true
      return isKnown
    },
    async do({agent, signal}) {
      if (wanted) await agent(nodeId).storage('storage.register', wanted, signal)
    },
    undo: run => unregister(run, {nodeId, wanted}),
  }
}

/** The other way round, before what is registered goes. */
export function unregisterStep<I>({nodeId, node, wanted}: Registration): Step<I> {
  return {
    name: `unregister-${node}`,
    title: () => `Taking ${wanted?.storage ?? 'the storage'} from the cluster manager of ${node}`,
    isDone: async run => !wanted || !knows(await look(run, nodeId), wanted),
    do: run => unregister(run, {nodeId, wanted}),
    async undo(run) {
      if (!wanted || knows(await look(run, nodeId), wanted)) return
      await run.agent(nodeId).storage('storage.register', wanted)
    },
  }
}

async function unregister<I>(run: StepRun<I>, {nodeId, wanted}: Omit<Registration, 'node'>): Promise<void> {
  if (!wanted || !knows(await look(run, nodeId), wanted)) return
  await run.agent(nodeId).storage('storage.unregister', {storage: wanted.storage})
}

function look<I>({agent}: StepRun<I>, nodeId: string): Promise<FoundCluster> {
  return agent(nodeId).storage('cluster.look', {})
}

/** The very storage: one of that name with another source is somebody else's. */
function knows({storages}: FoundCluster, {storage, type, pool, server, exportPath}: StorageRegistration): boolean {
  const source = type === 'nfs' ? `${server}:${exportPath}` : pool
  return storages.some(one => one.storage === storage && one.type === type && one.source === source)
}
