import {monitorEventLoopDelay} from 'node:perf_hooks'
import {type Offer, place} from '../../../src/domain/placement.ts'
import {type Placement, Planner, type Waiting} from '../../../src/domain/planner.ts'
import {openStore} from '../../../src/store/open.ts'
import {median, round} from '../figures.ts'
import {type Measurement, type Row, type RowContext, verdict} from '../row.ts'

const models = ['NVIDIA GeForce RTX 4090', 'NVIDIA A100-SXM4-80GB', 'NVIDIA H100 80GB HBM3', 'NVIDIA L40S']
const memoryMiB = [24_564, 81_920, 81_559, 46_068]
const gpusPerNode = 8
/** The naive way looks at every node for every claim; some claims show what all would cost. */
const naiveClaims = 20

/** P9: one pass of the whole queue over the whole fleet, in memory and with the rows that it writes. */
export const placement: Row = {
  name: 'placement',
  budgets: 'P9',
  async measure(context) {
    const claims = makeClaims(context.quick ? 10_000 : 100_000)
    const nodes = context.quick ? 1_000 : 10_000
    const rounds = context.quick ? 1 : 5
    const naiveMs = cpuOf(() => placeNaively(claims.slice(0, naiveClaims), makeOffers(nodes))).ms
    const naiveAllMs = (naiveMs / naiveClaims) * claims.length
    const passes: {ms: number; placements: Placement[]}[] = []
    for (let round = 0; round < rounds; round++) {
      const planner = new Planner()
      for (const offer of makeOffers(nodes)) planner.setOffer(offer)
      for (const claim of claims) planner.add(claim)
      const {ms, result} = cpuOf(() => passOver(planner))
      passes.push({ms, placements: result})
    }
    const passMs = median(passes.map(({ms}) => ms))
    const {placements} = passes[0]!
    const written = await writeRows(placements)
    const totalMs = passMs + written.ms
    const size = `${claims.length.toLocaleString('en-US')} claims on ${nodes.toLocaleString('en-US')} nodes × ${gpusPerNode} GPUs`
    return [
      inMemory(context, size, placements.length, passMs, naiveAllMs),
      inAll(context, placements.length, totalMs, written),
    ]
  },
}

function inMemory(context: RowContext, size: string, placed: number, passMs: number, naiveMs: number): Measurement {
  return {
    what: `placement of ${size}, in memory`,
    baseline: `${round(naiveMs)} ms: every claim looks at every node (from ${naiveClaims} claims)`,
    ours: `${round(passMs)} ms of CPU, ${placed.toLocaleString('en-US')} placed`,
    ratio: passMs / naiveMs,
    budget: '≤ 100 ms',
    verdict: verdict(passMs <= 100, context),
  }
}

function inAll(
  context: RowContext,
  placed: number,
  totalMs: number,
  written: {ms: number; longestBlockMs: number},
): Measurement {
  return {
    what: `the same with an allocation row and its GPU rows for each of ${placed.toLocaleString('en-US')} placements, through the store`,
    baseline: '–',
    ours: `${round(totalMs)} ms of CPU; longest block of the event loop ${round(written.longestBlockMs)} ms`,
    ratio: undefined,
    budget: '≤ 100 ms, blocks ≤ 50 ms',
    verdict: verdict(totalMs <= 100 && written.longestBlockMs <= 50, context),
  }
}

function passOver(planner: Planner): Placement[] {
  const placements: Placement[] = []
  while (!planner.isDone) placements.push(...planner.next(Date.now(), {most: 250}))
  return placements
}

function placeNaively(claims: readonly Waiting[], offers: readonly Offer[]): number {
  let placed = 0
  for (const {spec} of claims) if ('offer' in place(spec, offers)) placed++
  return placed
}

/** As the queue's controller does it: 250 to a transaction, and the loop is free in between. */
async function writeRows(placements: readonly Placement[]): Promise<{ms: number; longestBlockMs: number}> {
  const store = await openStore({
    at: ':memory:',
    onFatal: error => {
      throw error
    },
  })
  const delay = monitorEventLoopDelay({resolution: 1})
  const at = new Date().toISOString()
  try {
    delay.enable()
    const before = process.cpuUsage()
    for (let from = 0; from < placements.length; from += 250) {
      await store.transaction(async tx => {
        for (const {claim, nodeId, gpus} of placements.slice(from, from + 250)) {
          const held = gpus.map(({index, uuid, model}) => ({index, uuid, model}))
          const binding = {id: `allocation-${claim.id}`, claimId: claim.id, instanceId: claim.id, nodeId, epoch: 1}
          await tx.allocations.bind({...binding, gpus: held, cpus: 0, memoryMiB: 0, createdAt: at, releasedAt: null})
        }
      })
    }
    const {user, system} = process.cpuUsage(before)
    delay.disable()
    return {ms: (user + system) / 1000, longestBlockMs: delay.max / 1e6}
  } finally {
    await store.close()
  }
}

function cpuOf<T>(act: () => T): {ms: number; result: T} {
  const before = process.cpuUsage()
  const result = act()
  const {user, system} = process.cpuUsage(before)
  return {ms: (user + system) / 1000, result}
}

function makeClaims(count: number): Waiting[] {
  const startMs = Date.now() - count
  return Array.from({length: count}, (_, number) => ({
    id: `claim-${number}`,
    number: number + 1,
    createdAtMs: startMs + number,
    spec: {
      image: 'bench/none:1',
      gpus: {
        count: 1 + ((number * 7) % 4),
        model: models[number % 4],
        minMemoryMiB: number % 3 === 0 ? 20_000 : 16_000,
      },
      priority: (number * 13) % 10,
    },
  }))
}

function makeOffers(count: number): Offer[] {
  return Array.from({length: count}, (_, node) => ({
    nodeId: `node-${node}`,
    name: `node-${node}`,
    refusal: '',
    images: true,
    labels: {},
    cpus: 64,
    cpusFree: 64,
    memoryMiB: 524_288,
    memoryFreeMiB: 524_288,
    gpus: Array.from({length: gpusPerNode}, (_, index) => ({
      index,
      uuid: `GPU-${node}-${index}`,
      model: models[node % 4]!,
      memoryMiB: memoryMiB[node % 4]!,
      free: true,
    })),
  }))
}
