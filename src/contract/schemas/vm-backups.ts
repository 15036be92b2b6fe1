import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {Reference} from './common.ts'
import {MachineNumber, StorageName} from './os-images.ts'
import {Task} from './tasks.ts'

/** As Proxmox VE names them: `local:backup/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst`, `pbs:backup/vm/100/2026-01-02T03:04:05Z`. */
export const VmArchive = Type.String({
  pattern:
    '^(?!.*\\.\\.)[A-Za-z][A-Za-z0-9_.-]{0,61}[A-Za-z0-9]:backup/(vzdump-qemu-[1-9][0-9]{2,8}-[0-9_-]{19}\\.vma(\\.(zst|gz|lzo))?|vm/[1-9][0-9]{2,8}/[0-9TZ:-]{20})$',
  description: 'as local:backup/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst',
})

/** A backup of a virtual machine in a storage of Proxmox VE. */
export const VmBackup = Type.Object({
  archive: Type.String(),
  /** Number of the virtual machine. */
  vm: Type.String(),
  storage: Type.String(),
  node: Type.String(),
  sizeBytes: Type.Integer({minimum: 0}),
})
export type VmBackup = Static<typeof VmBackup>

const Begun = Type.Object({task: Task})

export const vmBackups = {
  'vmBackups.list': operation({
    summary: 'Backups of virtual machines in a storage of a node with Proxmox VE.',
    access: 'node_admin',
    input: Type.Object({
      node: Reference,
      /** `local` unless given. */
      storage: Type.Optional(StorageName),
      vm: Type.Optional(MachineNumber),
    }),
    output: Type.Array(VmBackup),
  }),
  'vmBackups.create': operation({
    summary: 'Back a virtual machine up into a storage of its node, while it runs.',
    access: 'super_admin',
    status: 202,
    input: Type.Object({vm: MachineNumber, node: Reference, storage: Type.Optional(StorageName)}),
    output: Begun,
  }),
  'vmBackups.restore': operation({
    summary:
      'Make a virtual machine of its backup. One that is there is stopped and overwritten, which nothing brings back; confirm = its number.',
    access: 'super_admin',
    status: 202,
    input: Type.Object({
      archive: VmArchive,
      node: Reference,
      /** That of the backup unless given. */
      vm: Type.Optional(MachineNumber),
      /** Of the disks; where they were unless given. */
      storage: Type.Optional(StorageName),
      confirm: Type.Optional(Type.String({description: 'the number of the one that is overwritten'})),
    }),
    output: Begun,
  }),
}
