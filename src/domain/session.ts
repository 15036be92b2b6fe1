import type {Session} from '../contract/schemas/sessions.ts'
import type {Caller} from './caller.ts'

export type SessionEnd = 'closed' | 'killed' | 'revoked'

export interface SessionStart {
  kind: Session['kind']
  caller: Caller
  instance?: {id: string; name: string}
  /** Of an exec: what runs, without its arguments. */
  program?: string
  /** So far, to the instance and from it. */
  bytes(): {in: number; out: number}
  /** Ends it at once. */
  end(why: SessionEnd): void
}

/** Where the jump host listens, and by what clients know it again. */
export interface SshDoor {
  host: string
  port: number
  /** `SHA256:…`, as ssh-keygen shows it. */
  fingerprint: string
  /** Type and base64, as they stand in known_hosts. */
  publicKey: string
}

/** One of the open ways into instances, as its door holds it. */
export interface OpenSession {
  readonly id: string
  /** The instance was chosen after the session began. */
  enter(instance: {id: string; name: string}): void
  /** It is over. Again is no error. */
  close(): void
}
