import type {OutgoingHttpHeaders, ServerResponse} from 'node:http'
import type {Readable} from 'node:stream'
import type {FastifyReply, FastifyRequest} from 'fastify'
import type {Caller} from '../../../domain/caller.ts'
import type {Inference, InferenceAnswer, InferencePath} from '../../../domain/inference.ts'

interface Visit {
  request: FastifyRequest
  reply: FastifyReply
  caller: Caller
  model: string
}

/** Enough of a runtime's refusal to find its words. */
const mostRefusalBytes = 64 * 1024
const mostWords = 2_000

/**
 * Lets a runtime answer, and passes its bytes on as they come. When the caller goes away the runtime's work ends; when
 * the runtime breaks off, so does the answer, so that nobody takes a half for the whole.
 */
export async function passOn(inference: Inference, path: InferencePath, visit: Visit): Promise<unknown> {
  const {request, reply, caller, model} = visit
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new Error('the caller is gone'))
  })
  try {
    const answer = await inference.call({
      ...{path, model, caller, signal: gone.signal},
      contentType: request.headers['content-type'] ?? 'application/json',
      accept: request.headers.accept,
      body: request.rawBody ?? Buffer.alloc(0),
    })
    if (answer.queuedMs !== undefined) {
      reply.headers({'x-queue-status': 'queued', 'x-queue-wait-ms': String(Math.round(answer.queuedMs))})
    }
    if (answer.status >= 300) return await refusal(answer, reply)
    stream(answer, reply)
  } catch (error) {
    if (!gone.signal.aborted) throw error
    reply.hijack()
  }
  return undefined
}

/** Piece by piece, and no faster than the caller reads. By hand, because `pipeline` costs more than all the rest. */
function stream({status, headers, body}: InferenceAnswer, reply: FastifyReply): void {
  const own = reply.getHeaders() as OutgoingHttpHeaders
  reply.hijack()
  const {raw} = reply
  if (raw.destroyed) return void body.destroy()
  raw.writeHead(status, {...own, ...headers})
  // What came with the head goes out with it. Else it may be silent for long, and that it has begun is worth telling.
  const first = body.read() as Buffer | null
  if (first) raw.write(first)
  else raw.flushHeaders()
  pump(body, raw)
}

/** To the end; when one side breaks off, so does the other. */
function pump(body: Readable, raw: ServerResponse): void {
  const {socket} = raw
  const resume = () => void body.resume()
  raw.on('drain', resume)
  socket?.on('drain', resume)
  raw.once('close', () => body.destroy())
  // The close that follows says all.
  body.on('error', () => {})
  body.once('close', () => {
    socket?.off('drain', resume)
    if (!body.readableEnded) raw.destroy()
  })
  body.once('end', () => raw.end())
  // Without a connection of its own yet, where a caller sends his requests in one go.
  const isDirect = socket !== null && raw.chunkedEncoding
  body.on('data', (piece: Buffer) => {
    const hasRoom = isDirect ? socket.write(chunkOf(piece)) : raw.write(piece)
    if (!hasRoom) body.pause()
  })
}

const lineEnd = Buffer.from('\r\n')

/**
 * A chunk of HTTP/1.1 (RFC 9112, 7.1) for the connection itself, once the head is out. Node's own `write` makes four
 * buffers of it, which costs three times as much; and there is one for each token of each stream.
 */
function chunkOf(piece: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`, 'latin1'), piece, lineEnd])
}

/** A runtime's refusal in the envelope; its own words where it has some. A redirect is no answer to us. */
async function refusal(answer: InferenceAnswer, reply: FastifyReply): Promise<unknown> {
  const status = answer.status < 400 ? 502 : answer.status
  const message = wordsIn(await beginningOf(answer.body)) ?? `The runtime refused the request (HTTP ${answer.status}).`
  reply.code(status)
  return {error: {message, type: 'node_upstream_error', code: status}}
}

async function beginningOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const piece of body) {
      pieces.push(piece)
      bytes += piece.length
      if (bytes > mostRefusalBytes) break
    }
  } catch {
    // What came until then is what there is.
  }
  return Buffer.concat(pieces).toString('utf8')
}

/** `{"error":{"message"}}` (OpenAI), `{"error":"…"}` or `{"message":"…"}`, as runtimes say it. */
function wordsIn(text: string): string | undefined {
  try {
    const {error, message} = JSON.parse(text) as {error?: {message?: unknown} | string; message?: unknown}
    const words = typeof error === 'string' ? error : (error?.message ?? message)
    return typeof words === 'string' && words !== '' ? words.slice(0, mostWords) : undefined
  } catch {
    return undefined
  }
}
