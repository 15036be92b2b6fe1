import {randomInt} from 'node:crypto'
import {setTimeout as pause} from 'node:timers/promises'
import {Api} from './api.ts'

export interface FamiliesRaceResult {
  rounds: number
  /** Rounds that the first asked for the GPU and got it, by family. */
  won: {'gpu-claims': number; rental: number}
  faults: string[]
}

type Family = keyof FamiliesRaceResult['won']

interface Claim {
  id: string
  instanceId: string
  status: {phase: string}
}

const withinMs = 20_000
/** By so much either family may be the earlier one. */
const headStartMs = 4

/**
 * Two clients want the only GPU of the fleet at once, one by a claim of document 004, one by `createInstance` of document
 * 002: one gets it, and when he gives it back in the words of his family the other one does.
 */
export async function raceFamilies({
  server,
  rounds,
}: {
  server: {url: string; token: string}
  rounds: number
}): Promise<FamiliesRaceResult> {
  const api = new Api(server)
  const foreign = new Api({...server, token: '', prefix: ''})
  const won = {'gpu-claims': 0, rental: 0}
  const faults: string[] = []
  try {
    const shop = await openShop(api, foreign)
    for (let round = 0; round < rounds; round++) {
      await eventually('the GPU is free', async () => (await api.ok<unknown[]>('GET', '/gpus?free=true')).length === 1)
      const wishes = await shop.askBoth()
      const first = await onlyBound(api, faults, `round ${round}, first`)
      const winner = wishes.find(one => one.isOf(first))
      if (!winner) throw new Error(`Round ${round}: claim ${first.id} is of neither client.`)
      won[winner.family]++
      await winner.giveBack()
      const isOther = (claim: Claim) => !winner.isOf(claim)
      const second = await onlyBound(api, faults, `round ${round}, second`, isOther)
      await wishes.find(one => one.isOf(second))?.giveBack()
      await eventually('nothing is left', async () => (await live(api)).length === 0)
    }
  } finally {
    api.close()
    foreign.close()
  }
  return {rounds, won, faults}
}

interface Wish {
  family: Family
  isOf(claim: Claim): boolean
  giveBack(): Promise<void>
}

/** What both clients need: an image and a shape of one card, and an account each. */
async function openShop(api: Api, foreign: Api): Promise<{askBoth(): Promise<Wish[]>}> {
  const mark = Date.now()
  const image = await api.ok<{number: number}>('POST', '/images', {
    body: {name: `race-${mark}`, address: 'race/none:1'},
  })
  const spec = await api.ok<{number: number}>('POST', '/specs', {
    body: {name: `race-${mark}`, gpuCount: 1, cpus: 1, memoryGiB: 1},
  })
  const password = `long-enough-${mark}`
  for (const username of ['race-ann', 'race-bob']) {
    await api.ok('POST', '/users', {body: {username, password, gpuQuota: 1}})
  }
  const login = (username: string, path: string) =>
    foreign.ok<{token?: string; data?: {token: string}}>('POST', path, {body: {username, password}})
  const ann = (await login('race-ann', '/api/auth/login')).token as string
  const bob = {'x-token': (await login('race-bob', '/base/login')).data?.token as string}

  async function claim(): Promise<Wish> {
    const body = {spec: {image: 'race/none:1', resources: {gpuCount: 1}}}
    const {id} = await foreign.ok<{id: string}>('POST', '/api/gpu-claims', {token: ann, body})
    return {
      family: 'gpu-claims',
      isOf: one => one.id === id,
      giveBack: async () => void (await foreign.ok('DELETE', `/api/gpu-claims/${id}`, {token: ann})),
    }
  }

  async function createInstance(): Promise<Wish> {
    const body = {imageId: image.number, productSpecId: spec.number}
    const {ID, uuid} = await rental<{ID: number; uuid: string}>('POST', '/instance/createInstance', body)
    return {
      family: 'rental',
      isOf: one => one.instanceId === uuid,
      giveBack: async () => void (await rental('DELETE', `/instance/deleteInstance?ID=${ID}`)),
    }
  }

  async function rental<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await foreign.ok<{code: number; data: T; msg: string}>(method, path, {body, headers: bob})
    if (answer.code !== 0) throw new Error(`${path} answered ${answer.code}: ${answer.msg}`)
    return answer.data
  }

  return {
    async askBoth() {
      const asks = randomInt(2) === 0 ? [claim, createInstance] : [createInstance, claim]
      const [one, other] = asks as [typeof claim, typeof claim]
      return Promise.all([one(), pause(randomInt(headStartMs)).then(other)])
    },
  }
}

function live(api: Api): Promise<Claim[]> {
  return api.ok<Claim[]>('GET', '/claims?all=true&live=true&limit=100')
}

const isBound = ({status}: Claim) => status.phase === 'Scheduled' || status.phase === 'Running'

/** Waits for a bound claim that is wanted, then for its container; two at any look are a fault. */
async function onlyBound(
  api: Api,
  faults: string[],
  when: string,
  isWanted: (claim: Claim) => boolean = () => true,
): Promise<Claim> {
  let found: Claim | undefined
  await eventually(`${when}: one has the GPU and runs`, async () => {
    const bound = (await live(api)).filter(isBound)
    if (bound.length > 1) faults.push(`${when}: ${bound.length} claims hold the one GPU`)
    found = bound.find(isWanted)
    return found?.status.phase === 'Running'
  })
  return found as Claim
}

async function eventually(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`In ${withinMs / 1000} s it did not come true that ${what}.`)
    await pause(5)
  }
}
