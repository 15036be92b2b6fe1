import {join} from 'node:path'
import {describe, expect, onTestFinished, type TestContext, test} from 'vitest'
import type {HeldTime} from '../../src/domain/ports.ts'
import {openStore} from '../../src/store/open.ts'
import {createDatabase} from '../support/postgres.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {newAllocation, newClaim} from '../unit/store/records.ts'

const places: Record<string, (context: TestContext) => Promise<string>> = {
  sqlite: async () => join(await temporaryDirectory(), 'store.db'),
  postgres: async context => {
    need(context, 'postgres')
    return createDatabase()
  },
}

describe.each(Object.entries(places))('times of allocations on %s', (_, place) => {
  test('what was given back since a time is read page by page, also where many ended at once', async context => {
    const onFatal = (error: unknown) => {
      throw error
    }
    const store = await openStore({at: await place(context), onFatal})
    onTestFinished(() => store.close())
    const ends = ['2026-01-01', '2026-02-02', '2026-02-02', '2026-02-02', '2026-03-03', null]
    const numbers: number[] = []
    for (const [index, end] of ends.entries()) {
      const claim = await store.claims.insert(newClaim({catalogueSpec: undefined, pricePerHour: 2}))
      const {id, number} = await store.allocations.bind(newAllocation('n1', [index], claim.id))
      if (end) await store.allocations.release(id, `${end}T00:00:00.000Z`)
      numbers.push(number)
    }

    const found: HeldTime[] = []
    const since = '2026-02-01T00:00:00.000Z'
    for (let after: HeldTime | undefined; ; after = found.at(-1)) {
      const page = await store.allocations.heldBefore({since, after, limit: 2})
      found.push(...page)
      if (page.length < 2) break
    }

    expect(found.map(({number}) => number)).toEqual(numbers.slice(1, 5))
    expect(found[0]).toMatchObject({nodeId: 'n1', cards: 1, pricePerHour: 2, to: '2026-02-02T00:00:00.000Z'})
    expect((await store.allocations.held()).map(({number, to}) => [number, to])).toEqual([[numbers[5], null]])
  })
})
