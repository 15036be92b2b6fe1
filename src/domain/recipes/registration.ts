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
      const isKnown = placesOf(found, wanted).every(Boolean)
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
    isDone: async run => !wanted || !placesOf(await look(run, nodeId), wanted).some(Boolean),
    do: run => unregister(run, {nodeId, wanted}),
    async undo(run) {
      if (wanted && (await look(run, nodeId)).manager !== null)
        await run.agent(nodeId).storage('storage.register', wanted)
    },
  }
}

async function unregister<I>(run: StepRun<I>, {nodeId, wanted}: Omit<Registration, 'node'>): Promise<void> {
  if (!wanted || !placesOf(await look(run, nodeId), wanted).some(Boolean)) return
  const {storage, nodes} = wanted
  await run.agent(nodeId).storage('storage.unregister', {storage, nodes})
}

function look<I>({agent}: StepRun<I>, nodeId: string): Promise<FoundCluster> {
  return agent(nodeId).storage('cluster.look', {})
}

/** For each of the nodes whether the very storage is there: one of that name with another source is somebody else's. */
function placesOf({storages}: FoundCluster, wanted: StorageRegistration): boolean[] {
  const {storage, type, pool, server, exportPath} = wanted
  const source = type === 'nfs' ? `${server}:${exportPath}` : pool
  const known = storages.find(one => one.storage === storage && one.type === type && one.source === source)
  return wanted.nodes.map(node => known !== undefined && (known.nodes.length === 0 || known.nodes.includes(node)))
}
