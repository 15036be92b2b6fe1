import {problem} from '../errors.ts'
import type {Recipe, Step, StepRun} from '../task.ts'
import {worked} from './backup-recipes.ts'

const dayMs = 24 * 60 * 60_000

interface VmPlace {
  nodeId: string
  node: string
  /** Number of the virtual machine. */
  id: string
}

export interface VmBackupWork extends VmPlace {
  storage: string
  /** Archives of it that were there before. */
  known: string[]
}

export interface VmRestoreWork extends VmPlace {
  archive: string
  /** Of the disks; null: where they were. */
  storage: string | null
  isThere: boolean
  wasRunning: boolean
}

const locksOf = ({nodeId, id}: VmPlace) => [`vm:${nodeId}:${id}`]

function made({agent, input: {nodeId, storage, id, known}, taskId}: StepRun<VmBackupWork>) {
  return agent(nodeId).storage('vmBackup.find', {storage, id, known, mark: taskId})
}

export const backupVm: Recipe<VmBackupWork> = {
  type: 'vm.backup',
  deadlineMs: dayMs,
  object: ({id}) => `vm ${id}`,
  locks: locksOf,
  steps: () => [
    {
      name: 'dump',
      title: ({id, node, storage}) => `Backing up virtual machine ${id} of ${node} into ${storage}`,
      async isDone(run) {
        const found = await made(run)
        if (found) Object.assign(run.notes, {archive: found.archive, sizeBytes: found.sizeBytes})
        return found !== null
      },
      async do(run) {
        const {id, storage, known} = run.input
        await worked(run, {method: 'vm.backup', input: {job: run.taskId, id, storage, known}, expectedBytes: 0})
      },
      async undo(run) {
        const storage = run.agent(run.input.nodeId)
        await storage.storage('vm.end', {job: run.taskId})
        const found = await made(run)
        if (found) await storage.storage('vmBackup.delete', {archive: found.archive})
      },
    },
  ],
  result: ({input: {id, node}, notes: {archive, sizeBytes}}) => ({vm: id, node, archive, sizeBytes}),
}

/** `qm stop`, the restore, `qm start`: one that ran runs again. */
export const restoreVm: Recipe<VmRestoreWork> = {
  type: 'vm.restore',
  deadlineMs: dayMs,
  object: ({id}) => `vm ${id}`,
  locks: locksOf,
  steps: ({wasRunning}) => [
    ...(wasRunning ? [powerStep('stop', 'stopped')] : []),
    {
      name: 'restore',
      weight: 20,
      title: ({id, archive, node}) => `Restoring ${archive} as virtual machine ${id} on ${node}`,
      isDone: async ({notes}) => notes.restored === true,
      async do(run) {
        const {id, archive, storage} = run.input
        run.notes.begun = true
        const input = {job: run.taskId, id, archive, ...(storage === null ? {} : {storage})}
        await worked(run, {method: 'vm.restore', input, expectedBytes: 0})
        run.notes.restored = true
      },
      async undo({agent, input: {nodeId, id, isThere}, taskId, notes, isAgain}) {
        const storage = agent(nodeId)
        await storage.storage('vm.end', {job: taskId})
        if (!notes.begun && !isAgain) return
        if (isThere) throw problem('vm_overwritten', {id})
        await storage.storage('vm.destroy', {id})
      },
    },
    ...(wasRunning ? [powerStep('start', 'running')] : []),
  ],
  result: ({input: {id, node, archive}}) => ({vm: id, node, archive}),
}

function powerStep(name: string, to: 'running' | 'stopped'): Step<VmRestoreWork> {
  return {
    name,
    title: ({id}) => `${to === 'running' ? 'Starting' : 'Stopping'} virtual machine ${id}`,
    async isDone({agent, input: {nodeId, id}}) {
      const found = await agent(nodeId).storage('vm.look', {id})
      return found?.isRunning === (to === 'running')
    },
    async do({agent, input: {nodeId, id}, signal}) {
      await agent(nodeId).storage('vm.power', {id, to}, signal)
    },
    ...(to === 'stopped'
      ? {
          async undo({agent, input: {nodeId, id}}: StepRun<VmRestoreWork>) {
            await agent(nodeId).storage('vm.power', {id, to: 'running'})
          },
        }
      : {}),
  }
}
