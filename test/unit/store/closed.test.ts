import {setImmediate as nextTurn} from 'node:timers/promises'
import {expect, test} from 'vitest'
import {openStore} from '../../../src/store/open.ts'

test('a transaction that comes after the store was closed is refused, and nothing goes on trying', async () => {
  const store = await openStore({
    at: ':memory:',
    onFatal: error => {
      throw error
    },
  })
  await store.close()

  const late = [1, 2].map(() => store.transaction(tx => tx.settings.set('late', 'yes')))

  for (const one of late) await expect(one).rejects.toThrow()
  await nextTurn()
  await store.close()
})
