import {Agent, request} from 'node:http'
import {setTimeout as pause} from 'node:timers/promises'
import {type Spread, spreadOf} from '../figures.ts'
import {serveJobs} from '../worker-process.ts'

export interface TokenReadersJob {
  port: number
  key: string
  model: string
  /** When each reader begins, from the start. */
  beginsMs: readonly number[]
  /** From the beginning of one answer of a reader to that of the next one; 0: as soon as it is over. */
  everyMs: number
  forMs: number
  /** Answers at the beginning of each reader that are not measured: they open connections. */
  unmeasured: number
}

export interface TokenReadersResult {
  /** From the sending to the first byte of the body. */
  firstByteMs: Spread
  /** Of all readers together while they read. */
  tokensPerSecond: number
  answers: number
  /** Answers that were refused or cut, by what happened. */
  failed: Record<string, number>
}

/** Readers of streamed answers: they count tokens and note when the first byte came. */
serveJobs<TokenReadersJob, TokenReadersResult>(async job => {
  const {beginsMs, everyMs, forMs, unmeasured} = job
  const agent = new Agent({keepAlive: true, maxSockets: beginsMs.length})
  const first: number[] = []
  const failed: Record<string, number> = {}
  let tokens = 0
  let readingMs = 0
  const startedAt = performance.now()
  const endAt = startedAt + forMs
  const reader = async (beginMs: number) => {
    // At set moments, as callers are who know nothing of each other: one late answer gathers no crowd.
    let answers = 0
    for (let at = startedAt + beginMs; at < endAt; at = next(at, everyMs)) {
      await pause(Math.max(0, at - performance.now()))
      await ask(job, agent).then(
        answer => {
          answers += 1
          if (answers <= unmeasured) return
          first.push(answer.firstByteMs)
          tokens += answer.tokens
          readingMs += answer.wholeMs
        },
        error => {
          failed[String(error)] = (failed[String(error)] ?? 0) + 1
        },
      )
    }
  }
  await Promise.all(beginsMs.map(reader))
  agent.destroy()
  const tokensPerSecond = (beginsMs.length * tokens) / (readingMs / 1000)
  return {firstByteMs: spreadOf(first), tokensPerSecond, answers: first.length, failed}
})

/** The reader's next moment that is not over. */
function next(at: number, everyMs: number): number {
  const now = performance.now()
  return everyMs === 0 ? now : at + everyMs * Math.max(1, Math.ceil((now - at) / everyMs))
}

interface Answer {
  firstByteMs: number
  wholeMs: number
  tokens: number
}

function ask({port, key, model}: TokenReadersJob, agent: Agent): Promise<Answer> {
  const body = JSON.stringify({model, stream: true, messages: [{role: 'user', content: 'Say something.'}]})
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  }
  return new Promise((resolve, reject) => {
    const sentAt = performance.now()
    const call = request({host: '127.0.0.1', port, path: '/v1/chat/completions', method: 'POST', agent, headers})
    call.once('error', reject)
    call.once('response', answer => {
      let firstByteMs = 0
      let tokens = 0
      answer.on('data', (piece: Buffer) => {
        if (firstByteMs === 0) firstByteMs = performance.now() - sentAt
        for (let at = piece.indexOf('"word"'); at !== -1; at = piece.indexOf('"word"', at + 1)) tokens += 1
      })
      answer.once('error', reject)
      answer.once('end', () => {
        if (answer.statusCode !== 200) reject(new Error(`HTTP ${answer.statusCode}`))
        else if (!answer.complete) reject(new Error('cut'))
        else resolve({firstByteMs, tokens, wholeMs: performance.now() - sentAt})
      })
    })
    call.end(body)
  })
}
