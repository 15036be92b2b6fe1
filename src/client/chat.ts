import {StringDecoder} from 'node:string_decoder'
import {UnreachableError} from './api-error.ts'
import type {Client} from './client.ts'

export interface ChatMessage {
  role: 'system' | 'user'
  content: string
}

export interface Chat {
  model: string
  messages: ChatMessage[]
}

export const chatPath = '/v1/chat/completions'

/** It may stand in the server's queue for a minute, and its runtime may think for another one. */
export const chatTimeoutMs = 150_000

/** Most characters of one line of the stream. */
const maxLineChars = 1024 * 1024

/** The model's words as they come. Throws ApiError, UnreachableError, Error when the stream is none. */
export async function* streamChat(client: Client, chat: Chat, signal: AbortSignal): AsyncGenerator<string> {
  const answer = await client.open({
    ...{method: 'POST', path: chatPath, signal, isStream: true, timeoutMs: chatTimeoutMs},
    headers: {accept: 'text/event-stream'},
    body: JSON.stringify({...chat, stream: true}),
  })
  try {
    for await (const line of linesOf(answer)) {
      const text = line.startsWith('data:') ? line.slice('data:'.length).trim() : ''
      if (text === '[DONE]') return
      if (text !== '') yield wordsOf(text)
    }
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    throw code === undefined ? error : new UnreachableError((await client.target()).server, error as Error)
  } finally {
    answer.destroy()
  }
}

async function* linesOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const piece of pieces) {
    const lines = (rest + decoder.write(piece)).split(/\r?\n/)
    rest = lines.pop() ?? ''
    if (rest.length > maxLineChars) throw new Error('The answer is no stream of events.')
    yield* lines
  }
}

/** Of a chunk of a chat completion; one that holds no words (the role, the usage) gives ''. */
function wordsOf(text: string): string {
  const {choices, error} = JSON.parse(text) as {
    choices?: {delta?: {content?: string | null}}[]
    error?: {message?: string}
  }
  if (error) throw new Error(error.message ?? 'The model broke off.')
  return choices?.[0]?.delta?.content ?? ''
}
