import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {Done, Reference, Time} from './common.ts'
import {Task} from './tasks.ts'

const bytes = Type.Integer({minimum: 0, maximum: Number.MAX_SAFE_INTEGER})

/** One component of a path (security T17). */
export const OsImageFile = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$',
  description: 'a file name without folders: letters, digits, dot, dash, underscore; at most 128',
})
export const MachineNumber = Type.String({
  pattern: '^[1-9][0-9]{2,8}$',
  description: 'the number of a virtual machine, 100 to 999999999',
})
export const MachineName = Type.String({
  pattern: '^(?!.*\\.\\.)[A-Za-z][A-Za-z0-9_.-]{0,62}$',
  description: 'letters, digits, _ . -; begins with a letter; at most 63',
})
export const StorageName = Type.String({
  pattern: '^(?!.*\\.\\.)[A-Za-z][A-Za-z0-9_.-]{0,61}[A-Za-z0-9]$',
  description: 'the name of a storage, as local',
})

/** A file of an operating system on a node. */
export const OsImage = Type.Object({
  file: Type.String(),
  nodeId: Type.String(),
  /** Name of the node. */
  node: Type.String(),
  /** What has come so far; the upload is over when it is all. */
  sizeBytes: bytes,
  totalBytes: bytes,
  sha256: Type.String({description: 'as announced, hex; empty once all has come'}),
  updatedAt: Time,
})
export type OsImage = Static<typeof OsImage>

const node = Type.Optional(Reference)

export const osImages = {
  'osImages.list': operation({
    summary: 'Files of operating systems on a node, or on all nodes that you administer and that answer.',
    access: 'node_admin',
    input: Type.Object({node}),
    output: Type.Array(OsImage),
  }),
  'osImages.upload': operation({
    summary:
      'Send a piece of a file to a node, from an offset on; the last one is checked against the SHA-256 of the whole.',
    access: 'super_admin',
    transport: 'upload',
    input: Type.Object({
      file: OsImageFile,
      node: Reference,
      offset: bytes,
      totalBytes: Type.Integer({minimum: 1, maximum: Number.MAX_SAFE_INTEGER}),
      sha256: Type.String({pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the whole file, hex'}),
    }),
    output: OsImage,
  }),
  'osImages.delete': operation({
    summary: 'Delete a file of an operating system, or what has come of it.',
    access: 'super_admin',
    input: Type.Object({file: OsImageFile, node, storage: Type.Optional(StorageName)}),
    output: Done,
  }),
  'osImages.template': operation({
    summary: 'Make a template of a file: a virtual machine of Proxmox VE, elsewhere a container image.',
    access: 'super_admin',
    status: 202,
    input: Type.Object({file: OsImageFile, id: MachineNumber, name: MachineName, node}),
    output: Task,
  }),
}
