import {expect, onTestFinished, test} from 'vitest'
import {openStore} from '../../../src/store/open.ts'
import {createDatabase, startPostgres} from '../../support/postgres.ts'
import {need} from '../../support/skips.ts'
import {newAllocation, newClaim} from './records.ts'

const onFatal = () => undefined

test('F19: three crashes of PostgreSQL while 16 callers write lose no acknowledged row and double none', {
  timeout: 60_000,
}, async context => {
  need(context, 'postgres')
  const server = await startPostgres({fsync: true})
  onTestFinished(() => server.stop())
  const store = await openStore({at: server.url, onFatal})
  onTestFinished(() => store.close())
  const acknowledged: string[] = []
  let isOver = false
  let failures = 0
  const write = async () => {
    while (!isOver) {
      const claim = newClaim({spec: {gpus: {count: 0}}})
      try {
        await store.transaction(async tx => {
          await tx.claims.insert(claim)
          await tx.allocations.bind(newAllocation('n1', [], claim.id))
        })
        acknowledged.push(claim.id)
      } catch (error) {
        expect(error).toMatchObject({code: 'store_unavailable'})
        failures++
      }
    }
  }
  const writers = Array.from({length: 16}, write)
  for (let crash = 1; crash <= 3; crash++) {
    const target = acknowledged.length + 100
    while (acknowledged.length < target) await store.claims.countByPhase()
    await server.restartImmediate()
  }
  const target = acknowledged.length + 100
  while (acknowledged.length < target) await store.claims.countByPhase()
  isOver = true
  await Promise.all(writers)

  const ids = (await store.claims.pending()).map(({id}) => id)

  expect(acknowledged.filter(id => !ids.includes(id))).toEqual([])
  // Only commits whose answer was lost may be there without having been acknowledged.
  expect(ids.length - acknowledged.length).toBeLessThanOrEqual(failures)
  expect(await store.allocations.listLive('n1')).toHaveLength(ids.length)
})

test('F19: a PostgreSQL that is not there is told as store_unavailable', {timeout: 30_000}, async () => {
  const opening = openStore({at: 'postgres://gpuctl@127.0.0.1:1/gpuctl', onFatal})

  await expect(opening).rejects.toMatchObject({code: 'store_unavailable'})
})

test('a PostgreSQL without that database is told in words for the operator', async context => {
  need(context, 'postgres')
  const url = (await createDatabase()).replace(/[^/]*$/, 'nowhere')

  await expect(openStore({at: url, onFatal})).rejects.toMatchObject({
    name: 'StoreUnusable',
    message: expect.stringMatching(
      /^The database nowhere on 127.0.0.1:\d+ cannot be used: database "nowhere" does not/,
    ),
  })
})
