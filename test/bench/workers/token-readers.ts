import {Agent, request} from 'node:http'
import {type Spread, spreadOf} from '../figures.ts'
import {serveJobs} from '../worker-process.ts'

export interface TokenReadersJob {
  port: number
  key: string
  model: string
  /** At once; each begins anew when it is over. */
  streams: number
  forMs: number
}

export interface TokenReadersResult {
  /** From the sending to the first byte of the body. */
  firstByteMs: Spread
  tokensPerSecond: number
  answers: number
  /** Answers that were refused or cut, by what happened. */
  failed: Record<string, number>
}

/** Readers of streamed answers: they count tokens and note when the first byte came. */
serveJobs<TokenReadersJob, TokenReadersResult>(async job => {
  const agent = new Agent({keepAlive: true, maxSockets: job.streams})
  const first: number[] = []
  const failed: Record<string, number> = {}
  let tokens = 0
  let answers = 0
  const startedAt = performance.now()
  const endAt = startedAt + job.forMs
  const reader = async (index: number) => {
    // Spread over one second, as callers are who know nothing of each other.
    await new Promise(resolve => setTimeout(resolve, (index * 1_000) / job.streams))
    while (performance.now() < endAt) {
      await ask(job, agent).then(
        answer => {
          first.push(answer.firstByteMs)
          tokens += answer.tokens
          answers += 1
        },
        error => {
          failed[String(error)] = (failed[String(error)] ?? 0) + 1
        },
      )
    }
  }
  await Promise.all(Array.from({length: job.streams}, (_, index) => reader(index)))
  agent.destroy()
  const seconds = (performance.now() - startedAt) / 1000
  return {firstByteMs: spreadOf(first), tokensPerSecond: tokens / seconds, answers, failed}
})

function ask({port, key, model}: TokenReadersJob, agent: Agent): Promise<{firstByteMs: number; tokens: number}> {
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
        else resolve({firstByteMs, tokens})
      })
    })
    call.end(body)
  })
}
