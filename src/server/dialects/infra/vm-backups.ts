import {route} from '../../dialect.ts'
import {BackUpVm, Begun, RestoreVm, taskIdOf} from './wire.ts'

/** Beyond the document, whose origin backs virtual machines up without a route of its own (wire.md 2.3). */
export const vmBackupRoutes = [
  route({
    method: 'POST',
    path: '/api/agent/backups/create',
    access: 'super_admin',
    summary: 'Back a virtual machine up into a storage of its node.',
    body: BackUpVm,
    output: Begun,
    status: 202,
    handle: async ({body: {id: vm, storage_id: storage, node_name: node}, asker, services}) => {
      const {task} = await services.vmBackups.create({vm, node, storage}, asker)
      return {taskId: taskIdOf(task), message: 'バックアップを開始しました'}
    },
  }),
  route({
    method: 'POST',
    path: '/api/agent/backups/restore',
    access: 'super_admin',
    summary: 'Make a virtual machine of its backup; over one that is there with force alone.',
    body: RestoreVm,
    output: Begun,
    status: 202,
    handle: async ({body, asker, services}) => {
      const {id: vm, backup_id: archive, storage_id: storage, node_name: node, force} = body
      const {task} = await services.vmBackups.restore(
        {vm, archive, storage, node, confirm: force ? vm : undefined},
        asker,
      )
      return {taskId: taskIdOf(task), message: 'リストアを開始しました'}
    },
  }),
]
