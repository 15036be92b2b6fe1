import {randomUUID} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import type {Readable} from 'node:stream'
import {type FastifyInstance, type FastifyReply, fastify} from 'fastify'
import {contract} from '../../src/contract/contract.ts'
import {type DryRun, takesDryRun} from '../../src/contract/dry-run.ts'
import {encodeFrame, frameKind} from '../../src/contract/frames.ts'
import type {Operation} from '../../src/contract/operation.ts'
import {apiPrefix, type OperationName, routes} from '../../src/contract/routes.ts'
import {nativeFailure} from '../../src/server/errors.ts'
import {answerFailures} from '../../src/server/failures.ts'
import {inputReader} from '../../src/server/input.ts'
import {parseJson} from '../../src/server/json.ts'
import {withDryRun} from '../../src/server/rehearse.ts'
import {encodeEvent} from '../../src/server/stream.ts'
import {uploadScope} from '../../src/server/upload-routes.ts'
import {ended, going, sample} from './schema-sample.ts'

export interface ContractServer {
  url: string
  /** Operations in the order in which they were asked. */
  asked: OperationName[]
  close(): Promise<void>
}

/**
 * Answers every operation of the native API with a value that fits its schema, whose free texts are hostile, and refuses
 * what the real server's reader of inputs refuses. To a token with `ended` in it all work is over, else it goes on. It knows nothing of a fleet: it is for what a command makes of any
 * answer. Sockets are closed at once.
 */
export async function contractServer(): Promise<ContractServer> {
  const asked: OperationName[] = []
  const app = fastify({bodyLimit: 8 * 1024 * 1024, routerOptions: {maxParamLength: 256}})
  app.decorateRequest('asker')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', {parseAs: 'buffer'}, async (_: unknown, body: Buffer) => parseJson(body))
  const names = Object.keys(routes) as OperationName[]
  const isUpload = (name: OperationName) => (contract[name] as Operation).transport === 'upload'
  await app.register(
    async scope => {
      answerFailures(scope as unknown as FastifyInstance, nativeFailure)
      for (const name of names.filter(one => !isUpload(one))) add(scope as never, name, asked)
      await uploadScope(scope as never, uploads => {
        for (const name of names.filter(isUpload)) add(uploads, name, asked)
      })
    },
    {prefix: apiPrefix},
  )
  const close = async () => {
    app.server.closeAllConnections()
    await app.close()
  }
  return {url: await app.listen({host: '127.0.0.1', port: 0}), asked, close}
}

const {version} = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

/** What must be true for a client to go on. */
const honest: Partial<Record<OperationName, object>> = {'server.version': {version, api: 'v1', serverId: randomUUID()}}

function add(scope: FastifyInstance, name: OperationName, asked: OperationName[]): void {
  const operation: Operation = contract[name]
  const {transport = 'json', status = 200, input, output} = operation
  const [method, path] = routes[name].split(' ') as [string, string]
  const isTried = takesDryRun(name, operation)
  const schema = isTried ? withDryRun(input) : input
  const read = inputReader({method, path, schema, isUpload: transport === 'upload'})
  scope.route({
    method,
    url: path,
    handler: async (request, reply) => {
      const given = (await read(request)) as Record<string, unknown>
      asked.push(name)
      const states = request.headers.authorization?.includes('ended') ? ended : going
      if (transport === 'events') return sendOne(reply, sample(output, {states}))
      if (transport === 'bytes')
        return reply.type('application/octet-stream').send(encodeFrame(frameKind.stdout, Buffer.from('one line\n')))
      if (transport === 'upload') for await (const _ of request.body as Readable) void _
      const answer = honest[name] ?? sample(output, {given, states})
      return reply.code(status).send(isTried && given.dryRun ? tried(name, answer as object) : answer)
    },
  })
}

/** Operations that answer dry runs themselves begin no task; all others say what would happen. */
function tried(name: OperationName, answer: object): object {
  if (Object.hasOwn((contract[name].input as {properties?: object}).properties ?? {}, 'dryRun')) {
    return 'task' in answer ? {...answer, task: null} : answer
  }
  return {dryRun: true, messages: [`${name} would be done.`], actions: [name]} satisfies DryRun
}

function sendOne(reply: FastifyReply, data: unknown): void {
  reply.hijack()
  reply.raw.writeHead(200, {'content-type': 'text/event-stream'})
  reply.raw.write(encodeEvent({id: '1', data}))
  reply.raw.end(encodeEvent({event: 'end', data: {}}))
}
