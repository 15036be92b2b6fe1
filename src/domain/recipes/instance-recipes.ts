import type {SnapshotName} from '../../contract/agent-protocol.ts'
import type {Recipe, Step} from '../task.ts'

export interface InstanceSnapshotWork extends SnapshotName {
  /** Names, for people. */
  instance: string
  snapshot: string
  nodeId: string
  node: string
  containerId: string
  /** Name that it is pushed as. */
  push?: string
}

/** What is in the registry stays there; on the node the agent tidies. */
const pushStep: Step<InstanceSnapshotWork> = {
  name: 'push',
  title: ({node, push}) => `Pushing it from ${node} as ${push}`,
  weight: 5,
  async isDone({notes}) {
    return notes.digest !== undefined
  },
  async do({agent, input: {nodeId, instanceId, snapshotId, push = ''}, notes, signal}) {
    const {digest} = await agent(nodeId).pushSnapshot({instanceId, snapshotId}, push, signal)
    notes.digest = digest
  },
  async undo({input: {push}, notes, log}) {
    if (notes.digest !== undefined) await log(`${push}@${notes.digest} stays in its registry.`)
  },
}

export const snapshotInstance: Recipe<InstanceSnapshotWork> = {
  type: 'instance.snapshot',
  deadlineMs: 60 * 60_000,
  object: ({instance}) => instance,
  locks: ({instanceId}) => [`instance::${instanceId}`],
  steps: ({push}) => [
    {
      name: 'commit',
      title: ({instance, node}) => `Keeping the files of ${instance} on ${node}`,
      async isDone({agent, input: {nodeId, instanceId, snapshotId}, notes}) {
        const found = await agent(nodeId).findSnapshot({instanceId, snapshotId})
        Object.assign(notes, found)
        return found !== null
      },
      async do({agent, input: {nodeId, instanceId, snapshotId, containerId}, signal}) {
        await agent(nodeId).takeSnapshot({instanceId, snapshotId}, containerId, signal)
      },
      async undo({agent, input: {nodeId, instanceId, snapshotId}}) {
        await agent(nodeId).removeSnapshot({instanceId, snapshotId})
      },
    },
    ...(push ? [pushStep] : []),
  ],
  result: ({input: {instance, snapshot, push}, notes: {sizeBytes, digest}}) => ({
    ...{instance, snapshot, sizeBytes},
    ...(push ? {pushed: `${push}@${digest}`} : {}),
  }),
  /** What is left of one that failed has to go, however far it came. */
  async ended({tx, wakeNode}, {status, input, notes, updatedAt}) {
    const {instanceId, snapshotId} = input as unknown as InstanceSnapshotWork
    const snapshot = await tx.instanceSnapshots.find(snapshotId)
    if (!snapshot) return
    const {imageId, sizeBytes} = notes as {imageId: string; sizeBytes: number}
    if (status === 'completed')
      await tx.instanceSnapshots.save({...snapshot, state: 'ready', imageId, sizeBytes, updatedAt})
    else for (const nodeId of await tx.instanceSnapshots.letGo(instanceId, snapshotId)) wakeNode(nodeId)
  },
}
