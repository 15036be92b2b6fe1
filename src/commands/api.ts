import type {IncomingMessage} from 'node:http'
import {Args, Flags} from '@oclif/core'
import {readBody, readField, splitPair, withQuery} from '../cli/api-input.ts'
import {BaseCommand} from '../cli/base-command.ts'
import {exitCode} from '../cli/exit-codes.ts'
import {Failure, usageError} from '../cli/failure.ts'
import {isMachine} from '../cli/global-flags.ts'
import {write} from '../cli/output/machine.ts'
import {escapeJson} from '../cli/output/safe.ts'
import {isTerminal} from '../cli/terminal.ts'
import {ApiError} from '../client/api-error.ts'
import type {Client} from '../client/client.ts'
import {readText} from '../client/transport.ts'
import {apiPrefix} from '../contract/routes.ts'

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

export default class Api extends BaseCommand {
  static override summary = 'Make one call to the server as you are logged in, and print the answer.'
  static override description =
    'A path without a slash before it stands under /gpuctl/v1. Fields become the JSON body; of a GET or DELETE the query. What the server can do stands at /swagger/index.html.'
  static override examples = [
    '<%= config.bin %> api GET nodes',
    '<%= config.bin %> api POST claims -F image=host -F gpus=\'{"count":1}\'',
    "<%= config.bin %> api GET claims --paginate --jq '.[].name'",
    '<%= config.bin %> api GET /openapi.json',
  ]
  static override args = {
    method: Args.string({description: methods.join(', '), required: true, parse: async text => text.toUpperCase()}),
    path: Args.string({description: 'path on the server', required: true}),
  }
  static override flags = {
    field: Flags.string({
      char: 'F',
      description: 'KEY=VALUE of the body; true, 1 and {…} are JSON, @FILE is what the file holds',
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
    paginate: Flags.boolean({description: 'all pages of a list, as one array'}),
  }

  async run(): Promise<undefined> {
    const {args, flags} = await this.parse(Api)
    const {method} = args
    if (!methods.includes(method)) throw usageError(`${method} is no method.`, `It is one of ${methods.join(', ')}.`)
    if (flags.paginate && method !== 'GET') throw usageError('--paginate is for lists: GET only.')
    const fields = {
      ...Object.fromEntries(await Promise.all((flags.field ?? []).map(readField))),
      ...Object.fromEntries((flags['raw-field'] ?? []).map(splitPair)),
    }
    const isBodyless = method === 'GET' || method === 'DELETE'
    const body = await readBody(flags['body-file'], isBodyless ? {} : fields)
    const place = `${args.path.startsWith('/') ? '' : `${apiPrefix}/`}${args.path}`
    const path = isBodyless ? withQuery(place, fields) : place
    const client = this.client(flags)
    if (flags.paginate) await this.#pages(client, path, args.path, flags.include)
    else {
      const answer = await client.open({method, path, body, isStream: true}).catch(withWayIn(args.path))
      if (flags.include) await writeHead(answer)
      if (this.#isPicked) await this.#pick(JSON.parse(await readText(await client.target(), answer)))
      else await pass(answer)
    }
    return undefined
  }

  /** One array of all pages; with the heads of the answers each page by itself, as it came. */
  async #pages(client: Client, path: string, typed: string, include: boolean): Promise<void> {
    const {apiPages} = await import('../cli/api-pages.ts')
    const rows: unknown[] = []
    let only: unknown
    try {
      for await (const {answer, text, value} of apiPages(client, path)) {
        if (include) {
          await writeHead(answer)
          if (this.#isPicked) await this.#pick(value)
          else await write(process.stdout, `${escapeJson(text)}\n`)
        } else if (Array.isArray(value)) for (const row of value) rows.push(row)
        else only = value
      }
    } catch (error) {
      withWayIn(typed)(error)
    }
    if (!include) await this.#pick(only ?? rows)
  }

  get #isPicked(): boolean {
    return this.mode.jq !== undefined || this.mode.fields !== undefined
  }

  /** By --jq and --json=…, as the answers of other commands are. */
  async #pick(value: unknown): Promise<void> {
    const format = isMachine(this.mode.format) ? this.mode.format : 'json'
    this.mode = {...this.mode, format}
    await this.writeResult(value)
  }
}

async function writeHead({statusCode, headers}: IncomingMessage): Promise<void> {
  await write(process.stdout, `HTTP ${statusCode}\n`)
  for (const [name, value] of Object.entries(headers)) {
    await write(process.stdout, `${name}: ${escapeJson(String(value))}\n`)
  }
  await write(process.stdout, '\n')
}

/** The bytes as they come; a terminal gets them made safe. */
async function pass(answer: IncomingMessage): Promise<void> {
  const isShown = isTerminal(process.stdout)
  for await (const piece of answer as AsyncIterable<Buffer>) {
    await write(process.stdout, isShown ? escapeJson(piece.toString('utf8')) : piece)
  }
  if (isShown) await write(process.stdout, '\n')
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
