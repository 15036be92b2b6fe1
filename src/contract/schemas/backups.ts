import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, Done, identity, Name, Nullable, Reference} from './common.ts'
import {Task} from './tasks.ts'

const Folder = Type.String({
  pattern: '^(?!.*(^|/)\\.\\.(/|$))/[A-Za-z0-9._/-]{1,500}$',
  description: 'the path of a folder from the root on, as /srv/backups',
})
const Endpoint = Type.String({
  pattern: '^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/?$',
  description: 'as https://s3.example.com',
})
const Bucket = Type.String({
  pattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$',
  description: 'small letters, digits, dot and dash; 3 to 63',
})
const Prefix = Type.String({
  pattern: '^([A-Za-z0-9][A-Za-z0-9._-]{0,62}/){0,8}$',
  description: 'folders before the file names, each with a slash behind it',
})
const Region = Type.String({pattern: '^[a-z0-9-]{1,40}$', description: 'as eu-central-1'})
/** It stands in a header that comma and equals sign divide. */
const KeyId = Type.String({
  pattern: '^[\\x21-\\x2b\\x2d-\\x3c\\x3e-\\x7e]{1,256}$',
  description: 'at most 256 characters without blanks, commas and equals signs',
})
/** Printable without blanks. */
const KeyText = Type.String({pattern: '^[\\x21-\\x7e]{1,256}$', description: 'at most 256 characters without blanks'})

/** A place for backups. Its secret is written and never read. */
export const BackupTarget = Type.Object({
  ...identity,
  name: Name,
  type: Type.Enum(['directory', 's3']),
  /** Of `directory`: a folder of the node whose site it is. */
  path: Nullable(Type.String()),
  endpoint: Nullable(Type.String()),
  region: Nullable(Type.String()),
  bucket: Nullable(Type.String()),
  prefix: Type.String(),
  accessKeyId: Nullable(Type.String()),
})
export type BackupTarget = Static<typeof BackupTarget>

const Begun = Type.Object({task: Task})
const confirm = Type.Optional(Type.String({description: 'the name once more'}))

export const backups = {
  'backupTargets.list': operation({
    summary: 'Places for backups.',
    access: 'node_admin',
    input: Type.Object({}),
    output: Type.Array(BackupTarget),
  }),
  'backupTargets.create': operation({
    summary: 'Name a place for backups: a folder of the nodes, or an S3 bucket with its key.',
    access: 'super_admin',
    status: 201,
    input: Type.Object({
      name: Name,
      type: Type.Enum(['directory', 's3']),
      path: Type.Optional(Folder),
      endpoint: Type.Optional(Endpoint),
      region: Type.Optional(Region),
      bucket: Type.Optional(Bucket),
      prefix: Type.Optional(Prefix),
      accessKeyId: Type.Optional(KeyId),
      secretAccessKey: Type.Optional(KeyText),
    }),
    output: BackupTarget,
  }),
  'backupTargets.delete': operation({
    summary: 'Forget a place for backups. Refused while backups lie there.',
    access: 'super_admin',
    input: ById,
    output: Done,
  }),
  'backups.create': operation({
    summary: 'Back a site up: a snapshot of it, packed, checked and recorded; then older ones than its retention go.',
    access: 'node_admin',
    status: 202,
    input: Type.Object({
      site: Reference,
      target: Reference,
      incremental: Type.Optional(
        Type.Boolean({description: 'the difference to the last one of this kind; the first one is whole'}),
      ),
    }),
    output: Begun,
  }),
  'backups.verify': operation({
    summary: 'Read a backup again, all of it with what it builds on, and compare checksums.',
    access: 'user',
    status: 202,
    input: ById,
    output: Begun,
  }),
  'backups.download': operation({
    summary: 'The file of a backup as it lies in its place (application/octet-stream), from a byte on.',
    access: 'user',
    transport: 'bytes',
    input: Type.Object({
      id: Reference,
      /** Where a download that was cut goes on. */
      offset: Type.Optional(Type.Integer({minimum: 0, maximum: Number.MAX_SAFE_INTEGER})),
    }),
    output: Type.Object({}),
  }),
  'backups.restore': operation({
    summary:
      'Bring a backup back as a new site, or into the same one; then confirm = its name. Who only owns the site brings it back where it was.',
    access: 'user',
    status: 202,
    input: Type.Object({
      id: Reference,
      /** Name of the site: a new one, or the one that it was made of. */
      site: Name,
      /** Where a new site is made: on this node; on the one that the backup was made on unless given. */
      node: Type.Optional(Reference),
      /** And on this pool: the only one of the node, or the one that the backup was made of unless given. */
      pool: Type.Optional(Reference),
      confirm,
    }),
    output: Begun,
  }),
  'backups.delete': operation({
    summary: 'Delete a backup with its file; confirm = its file name. Refused while later ones build on it.',
    access: 'node_admin',
    status: 202,
    input: Type.Object({id: Reference, confirm}),
    output: Begun,
  }),
}
