import type {Socket} from 'node:net'
import type {FastifyInstance, FastifyReply, FastifyRequest} from 'fastify'
import {contract} from '../contract/contract.ts'
import {takesDryRun} from '../contract/dry-run.ts'
import type {Operation} from '../contract/operation.ts'
import {apiPrefix, type OperationName, routes} from '../contract/routes.ts'
import {problem} from '../domain/errors.ts'
import {accessCheck, bearer, type NodeIdentity} from './auth.ts'
import {type BytesOperation, sendBytes} from './byte-routes.ts'
import {nativeFailure} from './errors.ts'
import {type EventOperation, openEventStream, type StreamSources} from './event-routes.ts'
import {answerFailures, type Family} from './failures.ts'
import {handlers, type JsonOperation} from './handlers.ts'
import {inputReader} from './input.ts'
import {type Ask, rehearse, withDryRun} from './rehearse.ts'
import {openSocket, type SocketOperation} from './socket-routes.ts'
import type {Terminals} from './terminal.ts'
import type {Upgrades} from './upgrade.ts'
import {takeUpload, uploadScope} from './upload-routes.ts'

/** Takes over the socket of an agent that dialled in and showed its key, and answers the upgrade. */
export type AcceptLink = (socket: Socket, head: Buffer, node: NodeIdentity) => void

interface NativeParts {
  sources: StreamSources
  terminals: Terminals
  upgrades: Upgrades
  acceptLink: AcceptLink
  /** Of this server; each answer tells it, so that a client of another one can say so. */
  version: string
}

/** Name of the upgrade with which an agent asks for its link. */
const linkProtocol = 'gpuctl-link'

/** What is no other family's is the native API's to answer. */
export const nativeFamily: Family = {owns: () => true, failure: nativeFailure}

/** Puts every operation of the contract at its route, and the door for the agents' links. */
export async function mountNative(app: FastifyInstance, parts: NativeParts): Promise<void> {
  await app.register(
    async scope => {
      scope.addHook('onRequest', (_, reply, done) => {
        reply.header('x-gpuctl-version', parts.version)
        done()
      })
      scope.addHook('onRequest', accessCheck(parts.sources.services, bearer))
      answerFailures(scope, nativeFailure)
      const names = Object.keys(routes) as OperationName[]
      for (const name of names.filter(one => !isUpload(one))) addOperation(scope, name, parts)
      await uploadScope(scope, uploads => {
        for (const name of names.filter(isUpload)) addOperation(uploads, name, parts)
      })
      addLink(scope, parts)
    },
    {prefix: apiPrefix},
  )
}

function isUpload(name: OperationName): boolean {
  return (contract[name] as Operation).transport === 'upload'
}

type Answer = (input: unknown, request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

function addOperation(scope: FastifyInstance, name: OperationName, parts: NativeParts): void {
  const operation: Operation = contract[name]
  const [method, path] = routes[name].split(' ') as [string, string]
  const {access, transport = 'json', input} = operation
  const schema = takesDryRun(name, operation) ? withDryRun(input) : input
  const readInput = inputReader({method, path, schema, isUpload: isUpload(name)})
  const answer = answerOf(name, operation, parts)
  scope.route({
    method,
    url: path,
    config: {access, transport, waitingToo: name === 'nodes.beat'},
    bodyLimit: name === 'nodes.join' ? parts.sources.settings.maxJoinBytes : undefined,
    handler: async (request, reply) => answer(await readInput(request), request, reply),
  })
}

function answerOf(name: OperationName, operation: Operation, {sources, terminals}: NativeParts): Answer {
  const {transport = 'json'} = operation
  if (transport === 'socket') {
    return (input, request, reply) =>
      openSocket(name as SocketOperation, input as never, request, reply, {services: sources.services, terminals})
  }
  if (transport === 'bytes') {
    return (input, request, reply) =>
      sendBytes(name as BytesOperation, input as never, request, reply, sources.services)
  }
  if (transport === 'upload') {
    return (input, request) => takeUpload(input as never, request, sources.services)
  }
  if (transport === 'events') {
    return (input, request, reply) => openEventStream(name as EventOperation, input as never, request, reply, sources)
  }
  const handle = handlers[name as JsonOperation]
  const ask: Ask = (input, asker) => handle(input as never, asker as never, sources.services)
  const isOwn = 'dryRun' in ((operation.input as {properties?: object}).properties ?? {})
  const isTried = takesDryRun(name, operation) && !isOwn
  return async (input, request, reply) => {
    if (isTried && (input as {dryRun?: boolean}).dryRun !== undefined) {
      const {dryRun, ...rest} = input as {dryRun: boolean}
      if (dryRun) return rehearse(ask, rest, request.asker)
      input = rest
    }
    const output = await ask(input, request.asker)
    // The schema decides what leaves the house: a member that it does not name is dropped. Compiled at first use.
    const body = reply.serializeInput(output as Record<string, unknown>, operation.output as Record<string, unknown>)
    return reply
      .code(operation.status ?? 200)
      .type('application/json; charset=utf-8')
      .send(body)
  }
}

function addLink(scope: FastifyInstance, {upgrades, acceptLink}: NativeParts): void {
  scope.get('/link', {config: {access: 'node'}}, async (request, reply) => {
    const upgrade = upgrades.take(request.raw, linkProtocol)
    if (!upgrade) {
      const fix = `Connect with Upgrade: ${linkProtocol}.`
      throw problem('input_invalid', {field: 'Upgrade', problem: 'is not that of a link', fix})
    }
    reply.hijack()
    acceptLink(upgrade.socket, upgrade.head, request.asker as NodeIdentity)
  })
}
