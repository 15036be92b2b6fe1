import {Readable} from 'node:stream'
import type {FastifyReply, FastifyRequest} from 'fastify'
import type {InputOf} from '../contract/contract.ts'
import type {Caller} from '../domain/caller.ts'
import type {Services} from '../domain/services/services.ts'

interface Bytes {
  type: string
  headers?: Record<string, string>
  content: AsyncIterable<Uint8Array>
}

const openers = {
  'instances.logs': async (
    input: InputOf<'instances.logs'>,
    caller: Caller,
    {instances}: Services,
    signal: AbortSignal,
  ): Promise<Bytes> => ({
    type: 'application/vnd.gpuctl.frames',
    content: await instances.openLogs(input, caller, signal),
  }),
  'instances.archive': async (
    input: InputOf<'instances.archive'>,
    caller: Caller,
    {instances}: Services,
    signal: AbortSignal,
  ): Promise<Bytes> => {
    const {stat, content} = await instances.readArchive(input, caller, signal)
    const told = Buffer.from(JSON.stringify(stat)).toString('base64url')
    return {type: 'application/x-tar', headers: {'x-gpuctl-stat': told}, content}
  },
  'backups.download': async (
    input: InputOf<'backups.download'>,
    caller: Caller,
    {backups}: Services,
    signal: AbortSignal,
  ): Promise<Bytes> => {
    const {filename, bytes, content} = await backups.openContent(input, caller, signal)
    const headers = {'content-length': String(bytes), 'content-disposition': `attachment; filename="${filename}"`}
    return {type: 'application/octet-stream', headers, content}
  },
}
export type BytesOperation = keyof typeof openers

/** Answers with bytes as they come, no faster than they are read; a source that breaks cuts the answer. */
export async function sendBytes<N extends BytesOperation>(
  name: N,
  input: InputOf<N>,
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<FastifyReply> {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  const {
    type,
    headers = {},
    content,
  } = await openers[name](input as never, request.asker as Caller, services, gone.signal)
  return reply
    .type(type)
    .headers(headers)
    .send(Readable.from(content, {objectMode: false}))
}
