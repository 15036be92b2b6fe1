import {setTimeout as pause} from 'node:timers/promises'
import {Api, inParallel} from './api.ts'
import type {ServerProcess} from './server-process.ts'

export interface LastGpuResult {
  rounds: number
  /** Claims that were bound in each round; must be 1. */
  bound: number[]
  faults: string[]
}

interface Claim {
  id: string
  number: number
  status: {phase: string}
}

const withinMs = 20_000
const isBound = ({status}: Claim) => status.phase === 'Scheduled' || status.phase === 'Running'

/** F13: many claims at once want the only GPU of the fleet: one gets it, the others wait, and the oldest is the next. */
export async function raceForLastGpu(options: {
  server: ServerProcess
  rounds: number
  claimants: number
}): Promise<LastGpuResult> {
  const {server, rounds, claimants} = options
  const api = new Api({url: server.url, token: server.token})
  const bound: number[] = []
  const faults: string[] = []
  try {
    await eventually(
      'the only node offers its GPU',
      async () => (await api.ok<unknown[]>('GET', '/gpus?free=true')).length === 1,
    )
    for (let round = 0; round < rounds; round++) {
      const submitted: Claim[] = []
      const body = {image: 'soak/none:1', command: ['sleep', '3600'], gpus: {count: 1}}
      await inParallel(claimants, claimants, async () => {
        submitted.push(await api.ok<Claim>('POST', '/claims', {body}))
      })
      const live = () => api.ok<Claim[]>('GET', '/claims?live=true&limit=1000')
      await eventually('one claim is bound', async () => (await live()).some(isBound))
      const now = await live()
      bound.push(now.filter(isBound).length)
      if (now.length !== claimants) faults.push(`round ${round}: ${claimants} claims submitted, ${now.length} live`)
      const winner = now.find(isBound)!
      const oldest = Math.min(...now.map(({number}) => number).filter(number => number !== winner.number))
      await api.ok('POST', `/claims/${winner.id}/cancel`, {body: {graceSeconds: 0}})
      await eventually('the next claim is bound', async () => (await live()).some(isBound))
      const next = (await live()).filter(isBound)
      if (next.length !== 1) faults.push(`round ${round}: ${next.length} claims bound after the first was cancelled`)
      if (next[0]?.number !== oldest)
        faults.push(`round ${round}: claim ${next[0]?.number} was next, not the oldest, ${oldest}`)
      await inParallel(submitted.length, 16, async index => {
        await api.ok('POST', `/claims/${submitted[index]!.id}/cancel`, {body: {graceSeconds: 0}})
      })
      await eventually(
        'the GPU is free again',
        async () => (await api.ok<unknown[]>('GET', '/gpus?free=true')).length === 1,
      )
    }
  } finally {
    api.close()
  }
  const wrong = bound.filter(count => count !== 1)
  if (wrong.length > 0) faults.push(`in ${wrong.length} rounds not 1 but ${wrong.join(', ')} claims were bound`)
  return {rounds, bound, faults}
}

async function eventually(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`In ${withinMs / 1000} s it did not come true that ${what}.`)
    await pause(10)
  }
}
