import type {Readable} from 'node:stream'
import type {Caller} from './caller.ts'
import {problem} from './errors.ts'

/** Where a runtime takes work; the same paths as ours (wire.md 1.6). */
export type InferencePath =
  | '/v1/chat/completions'
  | '/v1/completions'
  | '/v1/embeddings'
  | '/v1/responses'
  | '/v1/audio/transcriptions'
  | '/v1/audio/speech'
  | '/v1/images/generations'
  | '/v1/images/edits'
  | '/v1/images/variations'

/** One call of a model. The body goes on byte for byte, and nothing of it is kept or logged (security T33). */
export interface InferenceRequest {
  path: InferencePath
  /** As the body says it; `parseModelName` reads it. */
  model: string
  contentType: string
  /** What the caller wants to get, as its Accept header says. */
  accept: string | undefined
  body: Uint8Array
  caller: Caller
  /** Aborted when the caller is gone: the runtime's work ends with it. */
  signal: AbortSignal
}

/** The runtime's answer as it begins. Whoever gets it reads the body to its end, destroys it, or aborts the request. */
export interface InferenceAnswer {
  /** 200–299, or what the runtime refused with. */
  status: number
  /** Lower case; only those that say what the body is. */
  headers: Record<string, string>
  body: Readable
  /** How long it stood in the queue, ms; undefined when it did not. */
  queuedMs: number | undefined
}

/** The way to the runtimes. */
export interface Inference {
  /**
   * Finds a runtime that holds the model, waits for its turn, and sends the request; once more elsewhere when the first
   * runtime fails before its answer begins. Throws model_unknown, model_unavailable, too_many, queue_full, queue_timeout,
   * runtime_failed, runtime_silent, and the signal's reason when it is aborted.
   */
  call(request: InferenceRequest): Promise<InferenceAnswer>
}

/** `llama3` or `llama3:q4`: the name and, behind a colon, how it is quantised. */
export interface ModelName {
  full: string
  base: string
}

/** Throws input_invalid when there is more than one colon, or nothing on a side of it. */
export function parseModelName(text: string): ModelName {
  const [base = '', ...suffixes] = text.split(':')
  if (base !== '' && suffixes.length <= 1 && suffixes[0] !== '') return {full: text, base}
  const fix = 'Give a name, or a name and one suffix: llama3:q4.'
  throw problem('input_invalid', {field: 'model', problem: 'is no name of a model', fix})
}
