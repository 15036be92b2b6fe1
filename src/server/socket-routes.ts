import type {FastifyReply, FastifyRequest} from 'fastify'
import type {InputOf} from '../contract/contract.ts'
import type {Caller} from '../domain/caller.ts'
import type {Services} from '../domain/services/services.ts'
import {framedConnection, framedUpload} from './framed-bytes.ts'
import type {Terminals} from './terminal.ts'
import {frameSpeech} from './terminal-speech.ts'

/** How each operation over a WebSocket begins. */
const openers = {
  'ssh.tunnel': async (_: InputOf<'ssh.tunnel'>, __: Caller, {server}: Services) =>
    framedConnection(await server.openSshTunnel()),
  'instances.exec': (input: InputOf<'instances.exec'>, caller: Caller, {instances}: Services) =>
    instances.openExec(input, caller),
  'instances.terminal': (input: InputOf<'instances.terminal'>, caller: Caller, {instances}: Services) =>
    instances.openShell({...input, tty: true}, caller),
  'instances.forward': async (input: InputOf<'instances.forward'>, caller: Caller, {instances}: Services) =>
    framedConnection(await instances.openForward(input, caller)),
  'instances.unpack': async (input: InputOf<'instances.unpack'>, caller: Caller, {instances}: Services) => {
    await instances.statPath(input, caller) // what can be refused is refused before the upload
    return framedUpload(content => instances.writeArchive(input, content, caller))
  },
}
export type SocketOperation = keyof typeof openers

/** A person may have gone away from these; the others end by themselves. */
const personal: ReadonlySet<SocketOperation> = new Set(['instances.exec', 'instances.terminal'])

/** Answers a native operation over a WebSocket: binary messages are frames (contract/frames.ts) both ways. */
export function openSocket<N extends SocketOperation>(
  name: N,
  input: InputOf<N>,
  request: FastifyRequest,
  reply: FastifyReply,
  {services, terminals}: {services: Services; terminals: Terminals},
): Promise<void> {
  const caller = request.asker as Caller
  return terminals.open({
    request,
    reply,
    kind: personal.has(name) ? 'terminal' : 'transfer',
    stillAllowed: async () => 'id' in input && services.instances.get({id: input.id}, caller),
    start: () => openers[name](input as never, caller, services),
    speech: frameSpeech(),
  })
}
