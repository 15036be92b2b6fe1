import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Usage} from '../../contract/schemas/usage.ts'
import {type Caller, seesAll} from '../caller.ts'
import {problem} from '../errors.ts'
import type {HeldTime} from '../ports.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'

/** Allocations of one read; between two of them others have their turn. */
const atOnce = 1000
const hourMs = 3_600_000

export function usageMethods(deps: ServiceDependencies): Services['usage'] {
  return {get: (input, caller) => usageOf(input, caller, deps)}
}

async function usageOf(
  {from, to, by = 'user'}: InputOf<'usage.get'>,
  caller: Caller,
  {store, clock}: ServiceDependencies,
): Promise<OutputOf<'usage.get'>> {
  const now = new Date(clock.now())
  const fromMs = readTime('from', from) ?? Date.UTC(now.getUTCFullYear(), now.getUTCMonth())
  const toMs = Math.min(readTime('to', to) ?? now.getTime(), now.getTime())
  if (fromMs > toMs)
    throw problem('input_invalid', {
      field: 'from',
      problem: 'is later than to, or than now',
      fix: 'Give an earlier one.',
    })
  const ownerId = seesAll(caller) ? undefined : caller.id
  const nodes = new Map((await store.nodes.list()).map(({id, name}) => [id, name]))
  const sums = new Map<string, Sum>()
  for await (const held of heldBetween(new Date(fromMs).toISOString())) {
    if (ownerId !== undefined && held.ownerId !== ownerId) continue
    const startMs = Math.max(Date.parse(held.from), fromMs)
    const endMs = Math.min(held.to === null ? now.getTime() : Date.parse(held.to), toMs)
    if (endMs <= startMs) continue
    const name = {user: held.owner, node: nodes.get(held.nodeId) ?? held.nodeId, spec: held.spec}[by]
    const sum = sums.get(name) ?? {claims: new Set(), gpuHours: 0, cost: 0}
    const hours = (endMs - startMs) / hourMs
    sum.claims.add(held.claimId)
    sum.gpuHours += hours * held.cards
    sum.cost += hours * held.pricePerHour
    sums.set(name, sum)
  }
  const rows = [...sums].map(([name, sum]): Usage => ({name, ...figuresOf(sum)}))
  rows.sort((one, other) => other.gpuHours - one.gpuHours || one.name.localeCompare(other.name))
  return {
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    by,
    rows,
    total: figuresOf(totalOf(sums.values())),
  }

  async function* heldBetween(since: string): AsyncGenerator<HeldTime> {
    const live = await store.allocations.held()
    yield* live
    // What is given back between the two reads is in both.
    const known = new Set(live.map(({number}) => number))
    for (let after: HeldTime | undefined; ; ) {
      const page = await store.allocations.heldBefore({since, after, limit: atOnce})
      for (const held of page) if (!known.has(held.number)) yield held
      if (page.length < atOnce) return
      after = page.at(-1)
      await new Promise(resolve => setTimeout(resolve))
    }
  }
}

interface Sum {
  claims: Set<string>
  gpuHours: number
  cost: number
}

function totalOf(sums: Iterable<Sum>): Sum {
  const total: Sum = {claims: new Set(), gpuHours: 0, cost: 0}
  for (const {claims, gpuHours, cost} of sums) {
    for (const id of claims) total.claims.add(id)
    total.gpuHours += gpuHours
    total.cost += cost
  }
  return total
}

/** To 0.0001: a third of a second of a card. */
function figuresOf({claims, gpuHours, cost}: Sum): Omit<Usage, 'name'> {
  const rounded = (value: number) => Math.round(value * 10_000) / 10_000
  return {claims: claims.size, gpuHours: rounded(gpuHours), cost: rounded(cost)}
}

function readTime(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = Date.parse(text)
  if (Number.isNaN(time))
    throw problem('input_invalid', {field, problem: `${text} is not a time.`, fix: 'Give RFC 3339.'})
  return time
}
