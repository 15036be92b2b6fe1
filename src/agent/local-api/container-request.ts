import {LocalProblem} from './problem.ts'

/** `POST /api/v1/containers` of document 004's node agent. */
export interface ContainerRequest {
  claimId: string
  image: string
  gpuCount: number
  command: string[] | undefined
  env: Record<string, string>
  workingDir: string | undefined
  ports: {containerPort: number; hostPort: number; protocol: 'tcp' | 'udp'}[]
  /** Name of a volume, or absolute path of a folder of the host → absolute path in the container. */
  volumes: {source: string; path: string}[]
}

const mostGpus = 1024
const mostEntries = 256

/** Checks every member; unknown ones mean nothing. Throws LocalProblem 400, which names the field. */
export function readContainerRequest(body: unknown): ContainerRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw flaw('body', 'must be one JSON object')
  const {claim_id, image, gpu_count, command, env_vars, working_dir, port_mappings, volumes} = body as Record<
    string,
    unknown
  >
  const gpuCount = gpu_count
  if (!Number.isInteger(gpuCount) || (gpuCount as number) < 0 || (gpuCount as number) > mostGpus)
    throw flaw('gpu_count', `must be an integer from 0 to ${mostGpus}`)
  return {
    claimId: text('claim_id', claim_id, /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, 'letters, digits, dot, dash, underscore'),
    image: text('image', image, /^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,510}$/, 'an image as Docker names it'),
    gpuCount: gpuCount as number,
    command: command === undefined || command === null ? undefined : texts('command', command),
    env: Object.fromEntries(texts('env_vars', env_vars ?? []).map(pair)),
    workingDir: isAbsent(working_dir) ? undefined : absolute('working_dir', working_dir),
    ports: list('port_mappings', port_mappings ?? []).map(port),
    volumes: Object.entries(record('volumes', volumes ?? {})).map(([source, path]) => ({
      source: text('volumes', source, /^(\/[^\0:]{0,4095}|[A-Za-z0-9][\w.-]{0,254})$/, 'a volume, or an absolute path'),
      path: absolute(`volumes.${source.slice(0, 64)}`, path),
    })),
  }
}

function port(mapping: unknown, index: number): ContainerRequest['ports'][number] {
  const at = `port_mappings[${index}]`
  const {host_port = 0, container_port, protocol} = record(at, mapping)
  const number = (field: string, value: unknown, least: number) => {
    if (Number.isInteger(value) && (value as number) >= least && (value as number) <= 65_535) return value as number
    throw flaw(`${at}.${field}`, `must be an integer from ${least} to 65535`)
  }
  const word = isAbsent(protocol) ? 'tcp' : String(protocol).toLowerCase()
  if (word !== 'tcp' && word !== 'udp') throw flaw(`${at}.protocol`, 'must be tcp or udp')
  return {
    containerPort: number('container_port', container_port, 1),
    hostPort: number('host_port', host_port, 0),
    protocol: word,
  }
}

function pair(word: string): [string, string] {
  const at = word.indexOf('=')
  if (at < 1) throw flaw('env_vars', 'must hold words as KEY=VALUE')
  return [word.slice(0, at), word.slice(at + 1)]
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

function text(field: string, value: unknown, form: RegExp, words: string): string {
  if (typeof value === 'string' && form.test(value)) return value
  throw flaw(field, isAbsent(value) ? 'is required' : `must be ${words}`)
}

function absolute(field: string, value: unknown): string {
  return text(field, value, /^\/[^\0:]{0,4095}$/, 'an absolute path')
}

function list(field: string, value: unknown): unknown[] {
  if (Array.isArray(value) && value.length <= mostEntries) return value
  throw flaw(field, `must be a list of at most ${mostEntries}`)
}

function texts(field: string, value: unknown): string[] {
  const words = list(field, value)
  if (words.every(word => typeof word === 'string' && word.length <= 32_768 && !word.includes('\0')))
    return words as string[]
  throw flaw(field, 'must be a list of texts')
}

function record(field: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw flaw(field, 'must be an object')
}

function flaw(field: string, words: string): LocalProblem {
  return new LocalProblem(400, 'invalid_request', `${field} ${words}.`, {field})
}
