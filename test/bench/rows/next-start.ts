import {get} from 'node:http'
import type {Api} from '../api.ts'
import {inParallel} from '../api.ts'
import {round, spreadOf} from '../figures.ts'
import {type Row, verdict} from '../row.ts'
import type {ServerProcess} from '../server-process.ts'
import {serverWithFleet} from './fleet-server.ts'

const withinMs = 20_000

interface Claim {
  id: string
}

/** P10: a claim ends, and the next one in the queue is started by its node. */
export const nextStart: Row = {
  name: 'next-start',
  budgets: 'P10',
  async measure(context) {
    const nodes = context.quick ? 100 : 1_000
    const rounds = context.quick ? 20 : 200
    const {server, api} = await serverWithFleet(context, {nodes, gpus: 1, beatMs: 5_000})
    const events = await StartEvents.listen(server)
    context.atEnd(() => events.close())
    context.progress(`${nodes} claims fill the fleet`)
    const running: string[] = []
    await inParallel(nodes, 16, async () => {
      running.push((await submitClaim(api)).id)
    })
    for (const id of running) await events.started(id)
    const latencies: number[] = []
    context.progress(`${rounds} times a claim ends and another begins`)
    for (let round = 0; round < rounds; round++) {
      const next = await submitClaim(api)
      const ending = running.splice(Math.floor(Math.random() * running.length), 1)[0]!
      const sinceMs = performance.now()
      const started = events.started(next.id)
      await api.ok('POST', `/claims/${ending}/cancel`, {body: {graceSeconds: 0}})
      latencies.push((await started) - sinceMs)
      running.push(next.id)
    }
    const {p50, p99, max} = spreadOf(latencies)
    return [
      {
        what: `cancel of a running claim → the next claim runs, ${nodes} nodes connected, ${rounds} times`,
        baseline: '–',
        ours: `p50 ${round(p50)} ms, p99 ${round(p99)} ms, slowest ${round(max)} ms`,
        ratio: undefined,
        budget: 'p99 ≤ 200 ms',
        verdict: verdict(p99 <= 200, context),
        remark:
          'Longer than what the budget names: with the end of the old container before, and the report of the start after.',
      },
    ]
  },
}

function submitClaim(api: Api): Promise<Claim> {
  const body = {image: 'bench/none:1', command: ['sleep', '86400'], gpus: {count: 1}}
  return api.ok<Claim>('POST', '/claims', {body})
}

/** When claims began to run, as the server's stream of events tells it. */
class StartEvents {
  readonly #call: ReturnType<typeof get>
  readonly #startedAtMs = new Map<string, number>()
  readonly #waiting = new Map<string, (atMs: number) => void>()

  private constructor(call: ReturnType<typeof get>) {
    this.#call = call
  }

  static listen(server: ServerProcess): Promise<StartEvents> {
    return new Promise((resolve, reject) => {
      const url = `${server.url}/gpuctl/v1/events/stream?kind=claim`
      const call = get(url, {headers: {authorization: `Bearer ${server.token}`}}, answer => {
        if (answer.statusCode !== 200) return reject(new Error(`The event stream answered ${answer.statusCode}.`))
        const events = new StartEvents(call)
        let rest = ''
        answer.setEncoding('utf8').on('data', (piece: string) => {
          const lines = (rest + piece).split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) if (line.startsWith('data: ')) events.#take(JSON.parse(line.slice(6)))
        })
        resolve(events)
      })
      call.on('error', reject)
    })
  }

  /** Resolves with the time at which the claim's start was told, also when that was before. */
  started(claimId: string): Promise<number> {
    const known = this.#startedAtMs.get(claimId)
    if (known !== undefined) return Promise.resolve(known)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`Claim ${claimId} did not start in ${withinMs / 1000} s.`)),
        withinMs,
      )
      this.#waiting.set(claimId, atMs => {
        clearTimeout(timer)
        resolve(atMs)
      })
    })
  }

  close(): void {
    this.#call.destroy()
  }

  #take({type, objectId}: {type?: string; objectId?: string}): void {
    if (type !== 'Started' || objectId === undefined) return
    const atMs = performance.now()
    this.#startedAtMs.set(objectId, atMs)
    this.#waiting.get(objectId)?.(atMs)
    this.#waiting.delete(objectId)
  }
}
