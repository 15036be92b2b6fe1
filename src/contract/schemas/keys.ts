import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, Done, identity, Name, Nothing, Nullable, Time} from './common.ts'

export const SshKey = Type.Object({
  ...identity,
  name: Name,
  owner: Type.String(),
  /** As OpenSSH names it: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`, … */
  type: Type.String(),
  bits: Type.Integer(),
  /** As `ssh-keygen -l` shows it: `SHA256:` and base64. */
  fingerprint: Type.String(),
  comment: Type.String(),
  /** From then on it opens nothing; null = never. */
  expiresAt: Nullable(Time),
})
export type SshKey = Static<typeof SshKey>

export const keys = {
  'keys.list': operation({
    summary: 'List your SSH public keys.',
    access: 'viewer',
    input: Nothing,
    output: Type.Array(SshKey),
  }),
  'keys.create': operation({
    summary: 'Add an SSH public key, with which you log in to the jump host.',
    access: 'user',
    status: 201,
    input: Type.Object({
      /** The key's comment, or its fingerprint, unless given. */
      name: Type.Optional(Name),
      key: Type.String({
        minLength: 1,
        maxLength: 16_384,
        description: 'one line of a .pub file: TYPE BASE64 [COMMENT]',
      }),
      ttlSeconds: Type.Optional(
        Type.Integer({minimum: 60, maximum: 31_536_000, description: 'seconds after which it opens nothing any more'}),
      ),
    }),
    output: SshKey,
  }),
  'keys.delete': operation({
    summary: 'Delete an SSH public key. Sessions that it opened end.',
    access: 'viewer',
    input: ById,
    output: Done,
  }),
}
