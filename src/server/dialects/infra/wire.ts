import {type Static, Type} from 'typebox'
import {Nullable, Reference, Time} from '../../../contract/schemas/common.ts'
import {members} from '../../../contract/schemas/members.ts'
import {MachineName, MachineNumber, OsImageFile, StorageName} from '../../../contract/schemas/os-images.ts'
import {storage} from '../../../contract/schemas/storage.ts'
import {type Task, type TaskLogLine, TaskStatus} from '../../../contract/schemas/tasks.ts'
import {VmArchive} from '../../../contract/schemas/vm-backups.ts'

const pool = storage['pools.create'].input.properties
const share = storage['pools.share'].input.properties
const mount = storage['mounts.create'].input.properties
const {address: Address} = members['members.add'].input.properties

/** Beyond the document: which node, where several have the file. */
const node_name = Type.Optional(Reference)

export const MakeTemplate = Type.Object({id: MachineNumber, name: MachineName, image_name: OsImageFile, node_name})
export const DeleteImage = Type.Object({storage_id: StorageName, image_name: OsImageFile, node_name})
export const ByImage = Type.Object({imageId: Type.String({minLength: 1, maxLength: 256})})

export const AddNode = Type.Object({node_name: MachineName, ip_address: Address, master_ip: Address})

export const CreatePool = Type.Object({
  pool_name: pool.name,
  device: pool.device,
  /** The name of the pool unless given. */
  storage_name: pool.storageName,
  node_name: Reference,
  content: pool.content,
  comment: pool.comment,
  /** Beyond the document: the kind of storage, and the erasing of a device that carries data. */
  type: Type.Optional(Type.Enum(['zfs', 'lvm'])),
  force: Type.Optional(Type.Boolean()),
})

/** Beyond the document. `force`: over a virtual machine that is there. */
export const BackUpVm = Type.Object({id: MachineNumber, storage_id: Type.Optional(StorageName), node_name: Reference})
export const RestoreVm = Type.Object({
  id: MachineNumber,
  backup_id: VmArchive,
  storage_id: Type.Optional(StorageName),
  node_name: Reference,
  force: Type.Optional(Type.Boolean()),
})

export const ByPool = Type.Object({poolId: Reference})
export const UpdatePool = Type.Object({
  pool_name: pool.name,
  network: share.network,
  read_write: Type.Optional(Type.Boolean({default: true})),
  root_squash: Type.Optional(Type.Boolean({default: false})),
})

export const MountRemote = Type.Object({
  storage_name: mount.name,
  server_ip: Address,
  export_path: Type.String({
    pattern: '^/(?!(.*/)?\\.\\.(/|$))[A-Za-z0-9._/-]{1,200}$',
    description: 'an absolute path without spaces and commas',
  }),
  content: Type.Array(Type.Enum(['images', 'rootdir']), {minItems: 1, uniqueItems: true}),
  node_name: mount.nodes,
})

const taskId = Type.String({description: 'as task-… ; see GET /api/agent/tasks/{taskId}'})
const message = Type.String()
export const Said = Type.Object({message})
export const Begun = Type.Object({taskId, message})
export const NodeBegun = Type.Object({taskId, nodeId: Type.String(), message})
export const PoolBegun = Type.Object({taskId, poolId: Type.String(), poolName: Type.String(), message})
export const PoolUpdated = Type.Object({poolId: Type.String(), poolName: Type.String(), message})

export const ByTask = Type.Object({taskId: Reference})
export const ListTasks = Type.Object({
  status: Type.Optional(TaskStatus),
  type: Type.Optional(Type.String({maxLength: 64})),
  limit: Type.Optional(Type.Integer({minimum: 1, maximum: 1000})),
})

export const WireTask = Type.Object({
  taskId,
  type: Type.String(),
  status: TaskStatus,
  progress: Nullable(Type.Integer({minimum: 0, maximum: 100})),
  message,
  result: Nullable(Type.Record(Type.String(), Type.Unknown())),
  error: Nullable(Type.Object({code: Type.String(), message, details: Type.Record(Type.String(), Type.Unknown())})),
  createdAt: Time,
  startedAt: Nullable(Time),
  finishedAt: Nullable(Time),
  log: Type.Optional(Type.Array(Type.String())),
})

export function taskToWire(task: Task, log?: readonly TaskLogLine[]): Static<typeof WireTask> {
  const {type, status, progress, message, result, error, createdAt, startedAt, finishedAt} = task
  const lines = log ? {log: log.map(({at, text}) => `${at} ${text}`)} : {}
  return {
    taskId: taskIdOf(task),
    ...{type, status, progress, message, result, error, createdAt, startedAt, finishedAt},
    ...lines,
  }
}

export function taskIdOf({id}: Pick<Task, 'id'>): string {
  return `task-${id}`
}

/** `storage-` and the name of the pool, in every example of the document. */
export function poolIdOf(name: string): string {
  return `storage-${name}`
}
