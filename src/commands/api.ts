import {readFile} from 'node:fs/promises'
import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {exitCode} from '../cli/exit-codes.ts'
import {Failure, usageError} from '../cli/failure.ts'
import {write} from '../cli/output/machine.ts'
import {escapeJson} from '../cli/output/safe.ts'
import {readStdin} from '../cli/prompt.ts'
import {isTerminal} from '../cli/terminal.ts'
import {ApiError} from '../client/api-error.ts'
import {apiPrefix} from '../contract/routes.ts'

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

export default class Api extends BaseCommand {
  static override summary = 'Make one call to the server as you are logged in, and print the answer.'
  static override description =
    'A path without a slash before it stands under /gpuctl/v1. Fields become the JSON body; of a GET or DELETE the query. What the server can do stands at /swagger/index.html.'
  static override examples = [
    '<%= config.bin %> api GET nodes',
    '<%= config.bin %> api POST claims -F image=host -F gpus=\'{"count":1}\'',
    '<%= config.bin %> api GET /openapi.json',
  ]
  static override args = {
    method: Args.string({description: methods.join(', '), required: true, parse: async text => text.toUpperCase()}),
    path: Args.string({description: 'path on the server', required: true}),
  }
  static override flags = {
    field: Flags.string({
      char: 'F',
      description: 'KEY=VALUE of the body; true, 1 and {…} are JSON',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'raw-field': Flags.string({
      char: 'f',
      description: 'KEY=VALUE, always text',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'body-file': Flags.string({description: 'file with the whole body, - for standard input', helpValue: '<file>'}),
    include: Flags.boolean({char: 'i', description: 'status and headers too'}),
  }

  async run(): Promise<undefined> {
    const {args, flags} = await this.parse(Api)
    if (!methods.includes(args.method))
      throw usageError(`${args.method} is no method.`, `It is one of ${methods.join(', ')}.`)
    const fields = {
      ...Object.fromEntries((flags.field ?? []).map(readField)),
      ...Object.fromEntries((flags['raw-field'] ?? []).map(split)),
    }
    const isBodyless = args.method === 'GET' || args.method === 'DELETE'
    const body = await readBody(flags['body-file'], isBodyless ? {} : fields)
    const path = `${args.path.startsWith('/') ? '' : `${apiPrefix}/`}${args.path}${isBodyless ? queryOf(args.path, fields) : ''}`
    const answer = await this.client(flags)
      .open({method: args.method, path, body, isStream: true})
      .catch(withWayIn(args.path))
    if (flags.include) {
      await write(process.stdout, `HTTP ${answer.statusCode}\n`)
      for (const [name, value] of Object.entries(answer.headers))
        await write(process.stdout, `${name}: ${escapeJson(String(value))}\n`)
      await write(process.stdout, '\n')
    }
    for await (const piece of answer as AsyncIterable<Buffer>) {
      await write(process.stdout, isTerminal(process.stdout) ? escapeJson(piece.toString('utf8')) : piece)
    }
    if (isTerminal(process.stdout)) await write(process.stdout, '\n')
    return undefined
  }
}

/** `/nodes` is asked for at the root, where other APIs of the server have their paths; most mean the native one. */
function withWayIn(path: string): (error: unknown) => never {
  return error => {
    const isLost = error instanceof ApiError && error.code === 'route_unknown' && path.startsWith('/')
    if (!isLost || path.startsWith(apiPrefix)) throw error
    const hint = `Without the slash it stands under ${apiPrefix}: \`gpuctl api … ${path.slice(1)}\`. ${error.hint}`
    throw new Failure(error.code, error.message, {hint, exitCode: exitCode.notFound, details: error.details})
  }
}

function split(pair: string): [string, string] {
  const at = pair.indexOf('=')
  if (at < 1) throw usageError(`${pair} is not KEY=VALUE.`)
  return [pair.slice(0, at), pair.slice(at + 1)]
}

function readField(pair: string): [string, unknown] {
  const [key, text] = split(pair)
  try {
    return [key, JSON.parse(text)]
  } catch {
    return [key, text]
  }
}

async function readBody(path: string | undefined, fields: object): Promise<string | undefined> {
  if (path === '-') return readStdin()
  if (path !== undefined) return readFile(path, 'utf8')
  return Object.keys(fields).length > 0 ? JSON.stringify(fields) : undefined
}

function queryOf(path: string, fields: Record<string, unknown>): string {
  if (Object.keys(fields).length === 0) return ''
  const query = new URLSearchParams(
    Object.entries(fields).map(([key, value]): [string, string] => [key, String(value)]),
  )
  return `${path.includes('?') ? '&' : '?'}${query}`
}
