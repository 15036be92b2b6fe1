import {type Static, Type} from 'typebox'
import type {ErrorKind} from '../../../contract/error-kinds.ts'
import type {Model} from '../../../contract/schemas/models.ts'
import type {DomainError} from '../../../domain/errors.ts'
import {type Failure, httpStatus} from '../../errors.ts'

/** What the routes look at; all else in the body is the runtime's to judge. */
export const ModelCall = Type.Object({
  model: Type.String({
    minLength: 1,
    maxLength: 256,
    description: 'the name of a model, with at most one suffix: llama3:q4',
  }),
})

export const WireModel = Type.Object({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Literal(0),
  owned_by: Type.Literal('router'),
  ready: Type.Boolean(),
  lifecycle_status: Type.Enum(['ready', 'downloading', 'unavailable']),
  /** 0 to 1 while it is downloaded, else null. */
  download_progress: Type.Union([Type.Number(), Type.Null()]),
  supported_apis: Type.Array(Type.String()),
  capabilities: Type.Record(Type.String(), Type.Boolean()),
})
type WireModel = Static<typeof WireModel>

export const ModelList = Type.Object({object: Type.Literal('list'), data: Type.Array(WireModel)})

const apis: Record<Model['kinds'][number], readonly string[]> = {
  chat: ['chat_completions', 'completions', 'responses'],
  embedding: ['embeddings'],
  asr: ['audio_transcriptions'],
  tts: ['audio_speech'],
}

export function modelToWire({id, ready, status, downloadProgress, kinds}: Model): WireModel {
  return {
    ...{id, object: 'model', created: 0, owned_by: 'router', ready},
    lifecycle_status: status,
    download_progress: downloadProgress,
    supported_apis: kinds.flatMap(kind => apis[kind]),
    capabilities: {
      chat_completion: kinds.includes('chat'),
      embeddings: kinds.includes('embedding'),
      speech_to_text: kinds.includes('asr'),
      text_to_speech: kinds.includes('tts'),
    },
  }
}

/** Types of OpenAI's envelope, by the kind of the failure. */
const types: Record<ErrorKind, string> = {
  unauthenticated: 'authentication_error',
  forbidden: 'permission_error',
  invalid: 'invalid_request_error',
  unprocessable: 'invalid_request_error',
  too_large: 'invalid_request_error',
  media_type: 'invalid_request_error',
  method: 'invalid_request_error',
  misdirected: 'invalid_request_error',
  not_found: 'invalid_request_error',
  conflict: 'invalid_request_error',
  over_capacity: 'service_unavailable',
  over_quota: 'permission_error',
  too_many: 'rate_limit_exceeded',
  unavailable: 'service_unavailable',
  bad_gateway: 'bad_gateway',
  timeout: 'timeout',
  out_of_space: 'service_unavailable',
  internal: 'server_error',
}

/** Codes that are words; all others are the HTTP status. */
const codes: Partial<Record<DomainError['code'], string>> = {
  model_unavailable: 'no_capable_nodes',
  queue_full: 'rate_limit_exceeded',
  too_many: 'rate_limit_exceeded',
  too_busy: 'rate_limit_exceeded',
}

/** How the OpenAI API says no: `{"error": {message, type, code}}`. */
export function openAiFailure(error: DomainError): Failure {
  const {kind, code, message} = error
  const status = httpStatus[kind]
  return {status, body: {error: {message, type: types[kind], code: codes[code] ?? status}}}
}
