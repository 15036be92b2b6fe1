import type {Recipe, Step, StepRun} from '../task.ts'
import {type Registration, registerStep, unregisterStep} from './registration.ts'

export interface MountWork {
  name: string
  server: string
  exportPath: string
  readOnly: boolean
  content: readonly ('images' | 'rootdir')[]
  /** `clusterNode`: what the cluster manager calls the node. */
  targets: {mountId: string; nodeId: string; node: string; clusterNode: string}[]
}

/** One registration names all nodes; in a cluster the first one is good for all, and the others find it done. */
export function registrationsOf({name, server, exportPath, content, targets}: MountWork): Registration[] {
  const nodes = targets.map(({clusterNode}) => clusterNode)
  const wanted = {storage: name, type: 'nfs' as const, server, exportPath, content, nodes}
  return targets.map(({nodeId, node}) => ({nodeId, node, wanted}))
}

const minuteMs = 60_000

async function foundMount({agent, input}: StepRun<MountWork>, nodeId: string) {
  const mounts = await agent(nodeId).storage('mounts.list', {})
  return mounts.find(({name}) => name === input.name)
}

export const createMounts: Recipe<MountWork> = {
  type: 'mount.create',
  deadlineMs: 30 * minuteMs,
  object: ({name}) => name,
  locks: ({name, targets}) => targets.map(({nodeId}) => `mount:${nodeId}:${name}`),
  steps: work => [
    ...work.targets.map(
      ({nodeId, node}): Step<MountWork> => ({
        name: `mount-${node}`,
        title: ({server, exportPath}) => `Mounting ${server}:${exportPath} on ${node}`,
        async isDone(run) {
          const found = await foundMount(run, nodeId)
          const {server, exportPath} = run.input
          return found?.state === 'mounted' && found.server === server && found.exportPath === exportPath
        },
        async do({agent, input: {name, server, exportPath, readOnly}, signal}) {
          await agent(nodeId).storage('mount.create', {name, server, exportPath, readOnly}, signal)
        },
        async undo({agent, input: {name, server, exportPath}}) {
          await agent(nodeId).storage('mount.remove', {name, source: {server, exportPath}})
        },
      }),
    ),
    ...registrationsOf(work).map(one => registerStep<MountWork>(one)),
  ],
  result: ({input, notes}) => ({
    name: input.name,
    nodes: input.targets.map(({node}) => node),
    registered: notes.registered === true,
  }),
  async ended({tx}, {status, input}) {
    for (const {mountId} of (input as unknown as MountWork).targets) {
      const mount = await tx.mounts.find(mountId)
      if (!mount) continue
      if (status === 'completed') await tx.mounts.save({...mount, state: 'ready'})
      else await tx.mounts.delete(mountId)
    }
  },
}

export const removeMount: Recipe<MountWork> = {
  type: 'mount.delete',
  deadlineMs: 10 * minuteMs,
  object: ({name}) => name,
  locks: ({name, targets}) => targets.map(({nodeId}) => `mount:${nodeId}:${name}`),
  steps: work => [
    ...registrationsOf(work).map(one => unregisterStep<MountWork>(one)),
    ...work.targets.map(
      ({nodeId, node}): Step<MountWork> => ({
        name: `unmount-${node}`,
        title: ({name}) => `Unmounting ${name} from ${node}`,
        isDone: async run => (await foundMount(run, nodeId)) === undefined,
        do: async ({agent, input, signal}) =>
          void (await agent(nodeId).storage('mount.remove', {name: input.name}, signal)),
        /** Without a look before: what was cut off may still be at work there, and is waited for. */
        async undo({agent, input: {name, server, exportPath, readOnly}}) {
          await agent(nodeId).storage('mount.create', {name, server, exportPath, readOnly})
        },
      }),
    ),
  ],
  result: ({input}) => ({name: input.name}),
  async ended({tx}, {status, input}) {
    for (const {mountId} of (input as unknown as MountWork).targets) {
      const mount = await tx.mounts.find(mountId)
      if (!mount) continue
      if (status === 'completed') await tx.mounts.delete(mountId)
      else await tx.mounts.save({...mount, state: 'ready'})
    }
  },
}
