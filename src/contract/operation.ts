import type {Static, TSchema} from 'typebox'

/** Least role that may call an operation. `public`: nobody is asked; `node`: only a node with its own key. */
export type Access = 'public' | 'viewer' | 'user' | 'node_admin' | 'super_admin' | 'node'

/**
 * How the call travels: one JSON body as answer, server-sent events, raw bytes (`frames.ts`), or a WebSocket; `upload` is
 * raw bytes in (application/octet-stream), its input in path and query, one JSON body out.
 */
export type Transport = 'json' | 'events' | 'bytes' | 'socket' | 'upload'

export interface Operation<I extends TSchema = TSchema, O extends TSchema = TSchema> {
  summary: string
  access: Access
  /** Path parameters, query (GET, DELETE) or body (POST, PUT, PATCH) in one object. */
  input: I
  /** For `events` the schema of one event's data. */
  output: O
  /** Success status, 200 unless given. */
  status?: number
  /** `json` unless given. */
  transport?: Transport
  /** The change can be repeated with the same Idempotency-Key and happens once. */
  idempotent?: boolean
  /** The header X-Gpuctl-Apply-Set marks what is made as part of a set of files. */
  markable?: boolean
}

export function operation<I extends TSchema, O extends TSchema>(description: Operation<I, O>): Operation<I, O> {
  return description
}

export type Input<O extends Operation> = Static<O['input']>
export type Output<O extends Operation> = Static<O['output']>
